// Opens places of the program's page and finds text there, as text:
//   node look.mjs '{"url", "password", "places": [["/keys", "text"], …]}'
import { check, openBrowser, openPage } from "./browser.mjs";

const { url, password, places } = JSON.parse(process.argv[2]);
const browser = await openBrowser();
const page = await openPage(browser, url);
page.setDefaultTimeout(15_000);
try {
  await page.goto(`${url}/admin`);
  await page.locator("input[type=password]").fill(password);
  await page.locator("form .primary").click();
  await page.locator("main:not(.login)").waitFor();
  for (const [place, text] of places) {
    await page.goto(`${url}/admin${place}`);
    await page.getByText(text).first().waitFor({ state: "attached" });
    check((await page.locator("#app :is(img, iframe, script, style)").count()) === 0, `${place} has no markup of others`);
  }
  check(page.faults.length === 0, page.faults.join("; "));
} catch (error) {
  console.error(String(error).slice(0, 2000), page.url());
  process.exitCode = 1;
}
await browser.close();
