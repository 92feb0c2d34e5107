// Screenshots of every place, in both themes, languages and sizes: node shots.mjs DIST FOLDER
// Made with the stand-in of web/dev, which has pools of any size at hand.
import { mkdirSync } from "node:fs";
import { serve } from "../../web/dev/server.mjs";
import { openBrowser } from "./browser.mjs";

const [dist, folder] = process.argv.slice(2);
const only = process.argv[4] ?? "";
mkdirSync(folder, { recursive: true });

const SIZES = { laptop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };
const POOLS = { none: { keys: 0 }, few: { keys: 3, well: true }, many: { keys: 41175 } };

const PLACES = {
  overview: "", keys: "/keys", dead: "/keys?status=dead&sort=-requests", key: "/keys/7", add: "/keys/add", log: "/log", request: "/log/9990", chat: "/chat",
  settings: "/settings",
};

/** What makes a place show more than its beginning. */
const ACTIONS = {
  async keys(page) {
    const boxes = page.locator(".vrow:not(.head) input[type=checkbox]");
    for (const i of [1, 2, 4]) if ((await boxes.count()) > i) await boxes.nth(i).check();
  },
  async add(page) {
    await page.locator(".paste textarea").fill(
      Array.from({ length: 40 }, (_, i) => `sk-${"abcdefghij".repeat(2)}${i}`).join("\n") + "\nftp://x|sk-1\nhttps://api.example.com|sk-2 3\nsk-2 4");
    await page.locator(".verdicts").waitFor();
  },
  async key(page) {
    await page.locator(".inline .button").click();
    await page.locator(".steps li").nth(6).waitFor();
  },
  async chat(page) {
    await page.locator(".composer .line textarea").fill("Say hello.");
    await page.keyboard.press("Enter");
    await page.locator(".turn.assistant .meta .button").waitFor();
  },
};

const browser = await openBrowser();
for (const [pool, options] of Object.entries(POOLS)) {
  const world = await serve({ dist, ...options });
  for (const [size, viewport] of Object.entries(SIZES)) {
    for (const theme of ["light", "dark"]) {
      for (const lang of ["en", "zh-CN"]) {
        if (only && !`-${pool}-${size}-${theme}-${lang}.png`.includes(only) && !Object.keys(PLACES).some((p) => only.startsWith(`${p}-`))) continue;
        const context = await browser.newContext({ viewport, colorScheme: theme, locale: lang, timezoneId: "UTC", deviceScaleFactor: 1 });
        const page = await context.newPage();
        page.on("pageerror", (error) => console.log(`page error: ${error}`));
        page.on("console", (m) => m.type() === "error" && !m.text().includes("401") && console.log(`console: ${m.text()}`));
        const name = (place) => `${folder}/${place}-${pool}-${size}-${theme}-${lang}.png`;
        await page.goto(`${world.url}/admin`);
        await page.locator("input[type=password]").fill("admin123");
        if (pool === "none") await page.screenshot({ path: name("login") });
        await page.locator("form .primary").click();
        for (const [place, path] of Object.entries(PLACES)) {
          if (only && !name(place).includes(only)) continue;
          if (pool !== "many" && !["overview", "keys", "log"].includes(place)) continue;
          await page.goto(`${world.url}/admin${path}`);
          await page.locator("main").waitFor();
          await page.waitForTimeout(500);
          if (pool === "many") await ACTIONS[place]?.(page);
          await page.screenshot({ path: name(place), fullPage: size === "laptop" || !["keys", "log", "chat"].includes(place) });
        }
        await context.close();
      }
    }
  }
  world.server.closeAllConnections();
  world.server.close();
}
await browser.close();
