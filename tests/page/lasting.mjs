// A page that stays open while its server restarts and its session ends, over the program:
//   node lasting.mjs '{"url", "passwords": [now, after the change]}'
// Says "stop", "start" and "change" (the password) when it is to be done, and goes on by a line each.
import { createInterface } from "node:readline";
import { check, openBrowser, openPage, until } from "./browser.mjs";

const { url, passwords } = JSON.parse(process.argv[2]);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const tell = async (word) => {
  console.log(word);
  await lines.next();
};
const browser = await openBrowser();
const page = await openPage(browser, url);
page.setDefaultTimeout(30_000);
const logIn = async (password) => {
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
};
const isLive = () => page.locator(".live.on").waitFor();

try {
  await page.goto(`${url}/admin/keys?status=ready`);
  await logIn(passwords[0]);
  await isLive();
  await page.getByText("the one key").waitFor();
  await tell("stop");
  await page.getByText("The server does not answer").waitFor();
  await tell("start");
  // The page finds it again by itself. Its session was the old server's.
  await page.getByText("Your session has ended").waitFor();
  await until("the warning is gone", async () => (await page.locator(".down").count()) === 0);
  await logIn(passwords[0]);
  await isLive();
  await page.getByText("the one key").waitFor();
  check(page.url().endsWith("/admin/keys?status=ready"), "the place is the same after a restart");
  await tell("change");
  await page.getByText("Your session has ended").waitFor();
  check(page.url().endsWith("/admin/keys?status=ready"), "the address is the same");
  await logIn(passwords[1]);
  await page.getByText("the one key").waitFor();
  await isLive();
  check(page.faults.length === 0, page.faults.join("; "));
} catch (error) {
  console.error(error);
  console.error(`at ${page.url()}\n${await page.locator("body").innerText().catch(() => "")}`.slice(0, 3000));
  process.exitCode = 1;
}
await browser.close();
process.exit();
