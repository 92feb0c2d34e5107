// The distribution's Chromium, driven by playwright-core, which brings no browser of its own.
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

export function openBrowser() {
  const executablePath = process.env.O2O_CHROMIUM ?? PLACES.find((p) => existsSync(p));
  if (!executablePath) throw new Error("no chromium: run scripts/setup test");
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"] });
}

/**
 * A page that keeps what must never happen in `page.faults`: script errors, dialogs, reports of
 * the content security policy, requests to other hosts, failed requests that nobody expected.
 */
export async function openPage(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en", timezoneId: "UTC", ...options });
  const page = await context.newPage();
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(`error: ${error}`));
  page.on("dialog", (dialog) => {
    page.faults.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("console", (message) => {
    if (/Content.Security.Policy|TrustedHTML|Refused to/i.test(message.text())) page.faults.push(`policy: ${message.text()}`);
  });
  // The policy's reports go to the page itself, whatever the console makes of them.
  await page.addInitScript(() => addEventListener("securitypolicyviolation", (event) =>
    console.log(`Content Security Policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`)));
  page.on("request", (request) => {
    const to = request.url();
    if (!to.startsWith(url) && !to.startsWith("blob:")) page.faults.push(`request to ${to}`);
  });
  return page;
}

export function check(condition, what) {
  if (!condition) throw new Error(`not so: ${what}`);
}

export async function until(what, condition, timeoutMs = 10_000) {
  const end = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`in vain waited for: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}
