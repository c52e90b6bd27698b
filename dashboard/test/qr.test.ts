/** QR codes are those that another encoder makes: the digests are of the modules that `qrcode` 1.5.4 of npm gives (byte mode, M). */

import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { qrCode } from "../src/manage/account/qr.ts";

const URL =
  "otpauth://totp/Nodeglass%20monitor.example.org:ada?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Nodeglass%20monitor.example.org&algorithm=SHA1&digits=6&period=30";

test.each([
  ["NODEGLASS", 0, 21, "1f069f7bd0849fc5"],
  [URL.slice(0, 106), 3, 41, "a1e45c7a2b96c65d"],
  [URL, 5, 53, "36cbf0060603969d"],
  [`${URL}&${"x".repeat(213 - URL.length - 1)}`, 7, 57, "777a5bba55c1acb5"],
])("%s with mask %i", (text, mask, size, digest) => {
  const code = qrCode(text, mask);
  expect(code.length).toBe(size);
  const modules = code.map((row) => `${row.map((dark) => (dark ? "1" : "0")).join("")}\n`).join("");
  expect(createHash("sha256").update(modules).digest("hex")).toContain(digest);
  expect(qrCode(text).length).toBe(size);
});

test("a text that is too long is refused", () => {
  expect(() => qrCode("x".repeat(214))).toThrow(RangeError);
});
