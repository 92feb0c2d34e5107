// What a new user does, by visible labels and texts alone: adds keys, finds which is dead and why,
// chats, and copies the chat as code; prints what was copied.
//   node newuser.mjs '{"url", "password", "lang", "good", "dead", "model", "answer"}'
// good and dead: lines with a key that works, and one that its server refuses.
import { check, openBrowser, openPage, until } from "./browser.mjs";
import { WORDS } from "./words.mjs";

const { url, password, lang, good, dead, model, answer } = JSON.parse(process.argv[2]);
const say = WORDS[lang];
const browser = await openBrowser();
const page = await openPage(browser, url, { locale: lang === "zh" ? "zh-CN" : "en-US" });
await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
page.setDefaultTimeout(20_000);

const button = (name) => page.getByRole("button", { name, exact: typeof name === "string" });
const link = (name) => page.getByRole("link", { name, exact: typeof name === "string" });
const place = (name) => page.getByRole("banner").getByRole("link", { name, exact: true }).click();
const see = (text) => page.getByText(text).first().waitFor();

async function logIn() {
  await page.goto(`${url}/admin`);
  await page.getByLabel(say.password).fill(password);
  await button(say.logIn).click();
  await see(say.noKeysYet);
}

async function addKeys() {
  await place(say.keys);
  await page.getByLabel(say.paste).fill(`${good}\n${dead}\nftp://x|sk-3\n`);
  await page.getByRole("cell", { name: say.schemeFault }).waitFor();
  await button(say.addTwo).click();
  await page.getByRole("heading", { name: say.addedTwo }).waitFor();
  await button(say.checkNow).click();
}

async function findTheDead() {
  await link(say.oneDead).first().click();
  const table = page.getByRole("table", { name: say.keys });
  await until("one key shows", async () => (await table.getByRole("checkbox").count()) === 2); // of the head and of a row
  await table.getByRole("cell", { name: say.whyDead }).waitFor();
  await table.getByRole("link").first().click();
  await see(say.isDead);
  await button(say.test).click();
  await see(say.testFails);
  await see(say.whyTestFails);
}

async function chat() {
  await place(say.chat);
  await page.getByRole("combobox", { name: say.model }).selectOption(model);
  await page.getByLabel(say.message).fill("Hello there");
  await button(say.send).click();
  await page.getByRole("log").getByText(answer).first().waitFor();
  await button(say.again).waitFor(); // it has ended
  await button(say.asCode).click();
  const copied = {};
  for (const [name, kind] of [["curl", "curl"], ["Python", "python"], ["Node", "node"]]) {
    await button(name).click();
    await button(say.copy).click();
    await button(say.copied).waitFor();
    copied[kind] = await page.evaluate(() => navigator.clipboard.readText());
    check(copied[kind].includes(url) && copied[kind].includes(model) && copied[kind].includes("Hello there"), `${name} is what was asked: ${copied[kind]}`);
    await button(say.copy).waitFor();
  }
  return copied;
}

async function lookInTheLog() {
  await place(say.log);
  await page.getByRole("row", { name: new RegExp(model) }).first().waitFor();
  await page.getByRole("row", { name: new RegExp(model) }).first().getByRole("link").first().click();
  await page.getByRole("heading", { name: say.attempts }).waitFor();
  check(!(await page.locator("body").innerText()).includes("Hello there"), "the log has no prompt");
}

try {
  await logIn();
  await addKeys();
  await findTheDead();
  const copied = await chat();
  await lookInTheLog();
  check(page.faults.length === 0, page.faults.join("; "));
  console.log(JSON.stringify(copied));
} catch (error) {
  console.error(error);
  console.error(`at ${page.url()}\n${await page.locator("body").innerText().catch(() => "")}`.slice(0, 3000));
  process.exitCode = 1;
}
await browser.close();
