"""Faults in the layout of a page's texts, measured in a browser."""

from __future__ import annotations

from playwright.sync_api import Page

# A part that is folded up hides its texts; a matrix scrolls below its own labels.
SCRIPT = """() => {
  const found = new Set(), boxes = [];
  const {scrollWidth, clientWidth} = document.documentElement;
  if (scrollWidth > clientWidth) found.add('the page scrolls sideways');
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (parent.closest('style, title, .matrix') || !parent.checkVisibility()) continue;
    const block = parent.closest('td, th, p, li, figcaption, h1, h2, h3, summary, div, body');
    for (const {0: word, index} of node.data.matchAll(/\\S+/g)) {
      const range = document.createRange();
      range.setStart(node, index);
      range.setEnd(node, index + word.length);
      const lines = [...range.getClientRects()].filter(({width}) => width > 0);
      const width = lines.reduce((sum, line) => sum + line.width, 0);
      const breaks = /[-_/]/.test(word) || width > block.clientWidth * 0.9;
      if (lines.length > 1 && !breaks) found.add(`${word} is broken`);
      boxes.push(...lines.map((line) => [word, line, node]));
    }
  }
  const near = 1.5;  // pixels: the boxes of two lines may touch
  boxes.forEach(([one, a, first], place) => {
    for (const [other, b, second] of boxes.slice(place + 1)) {
      if (first === second || a.left + near >= b.right || b.left + near >= a.right) continue;
      if (a.top + near >= b.bottom || b.top + near >= a.bottom) continue;
      found.add(`${one} covers ${other}`);
    }
  });
  return [...found];
}"""


def layout_faults(page: Page) -> list[str]:
    """Returns texts that cover each other, words broken though there is room, a page too wide."""
    found: list[str] = page.evaluate(SCRIPT)
    return found
