/** The mark. */
export function Mark() {
  return (
    <svg className="mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" />
      <path d="M6 20.5 11 20.5 14 9.5 18.5 24 21.5 15.5 26 15.5" />
    </svg>
  );
}
