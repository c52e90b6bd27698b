/** What was written on a page's canvases: no element has it. */

import type { BrowserContext, Page } from "playwright-core";

/** Has every page of a context remember, from its next load on, what is written on each canvas since it was cleared last. */
export async function recordTexts(context: BrowserContext): Promise<void> {
  await context.addInitScript(() => {
    const { fillText, clearRect } = CanvasRenderingContext2D.prototype;
    const width = Object.getOwnPropertyDescriptor(HTMLCanvasElement.prototype, "width");
    const written = (canvas: HTMLCanvasElement) => {
      const own = canvas as HTMLCanvasElement & { written?: string[] };
      own.written ??= [];
      return own.written;
    };
    CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
      written(this.canvas).push(text);
      return fillText.call(this, text, ...rest);
    };
    CanvasRenderingContext2D.prototype.clearRect = function (...rest) {
      written(this.canvas).length = 0;
      return clearRect.apply(this, rest);
    };
    // A canvas that is given a size is empty.
    Object.defineProperty(HTMLCanvasElement.prototype, "width", {
      ...width,
      set(this: HTMLCanvasElement, value: number) {
        written(this).length = 0;
        width?.set?.call(this, value);
      },
    });
  });
}

/** What is written on the canvas of a part of the page now. */
export function textsOn(page: Page, selector: string): Promise<string[]> {
  return page.locator(`${selector} canvas`).first().evaluate((canvas) => [...((canvas as HTMLCanvasElement & { written?: string[] }).written ?? [])]);
}
