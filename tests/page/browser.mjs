// The distribution's Chromium, driven by playwright-core, which brings no browser of its own.
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/snap/bin/chromium"];

export function openBrowser() {
  const executablePath = process.env.CHROMIUM ?? PLACES.find((p) => existsSync(p));
  if (!executablePath) throw new Error("no chromium: run scripts/setup test");
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"] });
}
