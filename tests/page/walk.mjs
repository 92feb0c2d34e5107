// A walk through the page as a new user takes it, by what can be read on it alone:
//   node walk.mjs '{"url", "password", "lang", "keyUrl", "model", "answer", "phone", "theme", "has", "shots"}'
// shots: a folder for a picture of each place.
// keyUrl: a server for the keys; has: which of overview, settings, log and key the program has data for.
import { readFileSync } from "node:fs";
import { check, openBrowser, openPage, until } from "./browser.mjs";
import { WORDS } from "./words.mjs";

const LINES = 5000;

const { url, password, lang, keyUrl, model, answer, phone, theme, has, shots } = JSON.parse(process.argv[2]);
const say = WORDS[lang];
const browser = await openBrowser();
const page = await openPage(browser, url, {
  locale: lang === "zh" ? "zh-CN" : "en-US",
  colorScheme: theme,
  ...(phone ? { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true } : {}),
});
page.setDefaultTimeout(15_000);

const button = (name) => page.getByRole("button", { name, exact: typeof name === "string" });
const place = (name) =>
  page.locator(phone ? "nav.bottombar" : "header nav").getByRole("link", { name, exact: true }).click();

const picture = (name) => page.screenshot({ path: `${shots}/${name}-${phone ? "phone" : "laptop"}-${theme}-${lang}.png` });

async function logIn() {
  await page.goto(`${url}/admin/keys?status=dead`);
  await page.getByLabel(say.password).fill("not it");
  await button(say.logIn).click();
  await page.getByText(say.wrong).waitFor();
  await picture("login");
  await page.getByLabel(say.password).fill(password);
  await button(say.logIn).click();
  await page.getByRole("link", { name: say.addKeys }).or(page.getByLabel(say.paste)).first().waitFor();
  check(page.url() === `${url}/admin/keys?status=dead`, "the login leads back to the place");
}

async function importKeys() {
  await page.goto(`${url}/admin/keys/add`);
  const lines = Array.from({ length: LINES }, (_, i) => `${keyUrl}|sk-walk-${lang}-${phone}-${String(i).padStart(8, "0")}`);
  const bad = ["ftp://x|sk-1", "http://|sk-2", "https://exa mple.com|sk-3"];
  // As a paste of that many lines arrives; typing them would take the browser minutes.
  await page.getByLabel(say.paste).evaluate((field, text) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", text);
    field.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
  }, [...lines, lines[0], ...bad].join("\n"));
  await page.getByText(say.errors, { exact: true }).waitFor();
  check(await page.getByText(say.dup).first().isVisible(), "a duplicate is told");
  await page.getByRole("cell", { name: "ftp://x|sk-1" }).waitFor();
  await picture("verdict");
  await button(say.addCount).click();
  await page.getByRole("heading", { name: say.added }).waitFor({ timeout: 60_000 });
  await button(say.showKeys).click();
  await until("the keys are in the table", async () => (await page.locator(".vrow:not(.head):not(.loading)").count()) > 5);
  const rows = await page.locator(".vrow").count();
  await picture("keys");
  check(rows < 120, `only the rows in view are in the document, ${rows}`);
}

async function filterAndDisable() {
  await page.getByLabel(say.search).fill(keyUrl.replace("http://", ""));
  await until("the search is in the address", () => page.url().includes("q="));
  await page.locator(".vrow:not(.head) input[type=checkbox]").first().check();
  await page.locator(".actionbar").getByRole("button", { name: say.disable, exact: true }).click();
  await page.locator(".vrow .state.disabled").first().waitFor();
  const box = page.locator(".vrow:not(.head) input[type=checkbox]").first();
  if (!(await box.isChecked())) await box.check();
  await page.locator(".actionbar").getByRole("button", { name: say.enable, exact: true }).click();
  await until("no key is disabled", async () => (await page.locator(".vrow .state.disabled").count()) === 0);
}

async function exportKeys() {
  const bar = page.locator(".actionbar");
  if (await bar.count()) await bar.getByRole("button", { name: say.clearSelection, exact: true }).click();
  const boxes = page.locator(".vrow:not(.head) input[type=checkbox]");
  await boxes.nth(0).check();
  await boxes.nth(2).check();
  const picked = await exported();
  check(picked.length === 2 && picked[0] !== picked[1], `the two picked keys are in the file, ${picked.length}`);
  await page.locator(".vrow.head input[type=checkbox]").check();
  const all = await exported();
  check(all.length === LINES && all.includes(picked[1]), `all keys are in the file, ${all.length}`);
}

/** The lines of the file that an export of what is selected gives. */
async function exported() {
  await page.locator(".actionbar").getByRole("button", { name: say.export, exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel(say.password).fill("not it");
  await dialog.getByRole("button", { name: say.export, exact: true }).click();
  await dialog.getByText(say.wrong).waitFor();
  await dialog.getByLabel(say.password).fill(password);
  const [file] = await Promise.all([
    page.waitForEvent("download"), dialog.getByRole("button", { name: say.export, exact: true }).click()]);
  const lines = readFileSync(await file.path(), "utf8").trim().split("\n");
  check(lines[0].startsWith(`${keyUrl}|sk-walk-`), "a line is a key");
  return lines;
}

async function chat() {
  await place(say.chat);
  await page.locator("select option", { hasText: model }).first().waitFor({ state: "attached" });
  await page.goto(`${url}/admin/chat?model=${encodeURIComponent(model)}`);
  await page.getByLabel(say.message).fill("Hello there");
  await button(say.send).click();
  await page.locator(".turn.assistant .content").waitFor();
  await until("the answer ends", async () => (await button(say.send).count()) === 1);
  const text = await page.locator(".turn.assistant .content").innerText();
  check(text.includes(answer), `the answer is the model's: ${text}`);
  check(await page.locator(".meta").innerText(), "tokens and times are told");
  await button(say.asCode).click();
  const snippet = await page.locator(".snippets pre").innerText();
  await picture("chat");
  check(snippet.startsWith("curl ") && snippet.includes(model), "the snippet is curl's");
  return snippet;
}

async function settingsAndMore() {
  await place(say.settings);
  await page.getByText(`${url}/v1`, { exact: true }).first().waitFor();
  for (const name of ["ChatGPT Next Web", "Open WebUI", "LobeChat", "Cherry Studio", "ChatBox", "LibreChat"]) {
    await button(name).click();
    check((await page.locator(".code pre").innerText()).includes(url), `${name} has our address`);
  }
  if (has.includes("settings")) {
    await page.getByLabel(say.searchSettings).fill("MAX_RETRIES");
    await page.getByRole("rowheader", { name: "MAX_RETRIES" }).waitFor();
    await picture("settings");
  }
  if (has.includes("log")) {
    await place(say.log);
    await page.getByText(model, { exact: true }).first().waitFor();
    await picture("log");
  }
  if (has.includes("overview")) {
    await place(say.overview);
    await page.locator(".numbers").waitFor();
    await page.locator(".chart").first().waitFor();
    await picture("overview");
  }
  if (has.includes("key")) {
    await place(say.keys);
    await page.locator(".vrow:not(.head) a").first().click();
    await button(say.test).click();
    await page.getByText(say.works).waitFor();
    await picture("key");
    const steps = await page.locator(".steps li").allInnerTexts();
    check(steps.length === say.steps.length && say.steps.every((step, i) => steps[i].startsWith(step)), `each step is shown: ${steps}`);
  }
}

/** What the import added goes again, by the place that remembers it. */
async function undoImport() {
  await page.goto(`${url}/admin/keys/add`);
  await button(say.undo).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText(say.undoQuestion).waitFor();
  await dialog.getByRole("button", { name: say.undo, exact: true }).click();
  await page.getByText(say.deletedAll).waitFor({ timeout: 30_000 });
  await page.goto(`${url}/admin/keys`);
  await page.getByText(say.noKeysYet).waitFor();
}

async function languageAndEnd() {
  await button(say.other).click();
  const other = WORDS[lang === "en" ? "zh" : "en"];
  await button(other.logOut).click();
  await page.getByLabel(other.password).waitFor();
  await page.reload();
  await page.getByLabel(other.password).waitFor(); // chosen by hand, so it stays; and logged out
}

try {
  await logIn();
  await importKeys();
  await filterAndDisable();
  await exportKeys();
  const snippet = await chat();
  await settingsAndMore();
  await undoImport();
  await languageAndEnd();
  check(page.faults.length === 0, page.faults.join("; "));
  console.log(JSON.stringify({ snippet }));
} catch (error) {
  console.error(error);
  console.error(`at ${page.url()}\n${await page.locator("body").innerText().catch(() => "")}`.slice(0, 3000));
  process.exitCode = 1;
}
await browser.close();
