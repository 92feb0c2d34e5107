// Every place in both themes, languages and sizes, over pools of none, three and many keys:
//   node places.mjs DIST
// axe finds nothing, and nothing is wider than the window.
import { serve } from "../../web/dev/server.mjs";
import { AXE, audit } from "./axe.mjs";
import { check, openBrowser, openPage } from "./browser.mjs";

const PLACES = ["", "/keys", "/keys?status=dead", "/keys/7", "/keys/add", "/log", "/log/9990", "/chat", "/settings", "/nothing"];

const browser = await openBrowser();
const faults = [];
for (const keys of [0, 3, 41175]) {
  const { server, url } = await serve({ dist: process.argv[2], keys, well: keys === 3 });
  for (const [viewport, colorScheme, locale] of [
    [{ width: 1280, height: 800 }, "light", "en"], [{ width: 1280, height: 800 }, "dark", "zh-CN"],
    [{ width: 390, height: 844 }, "dark", "en"], [{ width: 390, height: 844 }, "light", "zh-CN"],
  ]) {
    const page = await openPage(browser, url, { viewport, colorScheme, locale, reducedMotion: "reduce", bypassCSP: true });
    await page.addInitScript(AXE);
    await page.goto(`${url}/admin`);
    await page.locator("input[type=password]").waitFor();
    const name = (place) => `${place || "/"} with ${keys} keys, ${viewport.width} wide, ${colorScheme}, ${locale}`;
    await audit(page, name("login"));
    await page.locator("input[type=password]").fill("admin123");
    await page.locator("form .primary").click();
    await page.locator("main:not(.login)").waitFor();
    for (const place of PLACES) {
      if (keys !== 41175 && !["", "/keys", "/log"].includes(place)) continue;
      await page.goto(`${url}/admin${place}`);
      await page.locator("main:not(.login)").waitFor();
      await page.waitForTimeout(400);
      try {
        await audit(page, name(place));
      } catch (error) {
        faults.push(error.message);
      }
    }
    faults.push(...page.faults);
    await page.context().close();
  }
  server.closeAllConnections();
  server.close();
}
await browser.close();
check(faults.length === 0, [...new Set(faults)].join("\n\n"));
