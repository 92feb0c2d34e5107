// How the page behaves over a large pool: node behave.mjs DIST
import { readFileSync } from "node:fs";
import { serve } from "../../web/dev/server.mjs";
import { check, openBrowser, openPage, until } from "./browser.mjs";

const KEYS = 100_000;
const PASSWORD = "admin123";
const { server, state, url } = await serve({ dist: process.argv[2], keys: KEYS });
const browser = await openBrowser();
const page = await openPage(browser, url);
page.setDefaultTimeout(10_000);
const logIn = async () => {
  await page.locator("input[type=password]").fill(PASSWORD);
  await page.locator("form .primary").click();
};

const CASES = {
  async "a table of 100,000 rows holds few in the document and reads what is seen"() {
    await page.goto(`${url}/admin/keys`);
    await logIn();
    await page.locator(".vrow:not(.loading) .c-key a").first().waitFor();
    const box = page.locator(".virtual");
    for (const part of [0.25, 0.8, 1]) {
      await box.evaluate((node, p) => { node.scrollTop = node.scrollHeight * p; }, part);
      const index = () => page.locator(".vrow").last().getAttribute("aria-rowindex").then(Number);
      await until("the rows follow", async () => (await index()) > KEYS * part);
      await until("the rows in view are read", async () => (await page.locator(".vrow.loading").count()) === 0);
      check((await page.locator(".vrow").count()) < 120, "few rows are in the document");
    }
    const last = await page.locator(".vrow").last().getAttribute("aria-rowindex");
    check(last === String(KEYS + 1), `the last row is the last key, ${last}`);
  },

  async "the filter is the address, and Back takes it away"() {
    await page.locator(".statelink.dead").click();
    await until("the address has it", () => page.url().includes("status=dead"));
    await until("only dead keys show", async () => (await page.locator(".vrow .state.dead").count()) > 5 &&
      (await page.locator(".vrow .state.ready").count()) === 0);
    await page.goBack();
    await until("ready ones show again", async () => (await page.locator(".vrow .state.ready").count()) > 0);
  },

  async "everything that matches is deleted after a question, as a job that can be stopped"() {
    await page.goto(`${url}/admin/keys?status=dead`);
    await page.locator(".vrow.head input").check();
    await page.locator(".actionbar .danger").click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
    check(state.jobs.size === 0, "Cancel changes nothing");
    await page.locator(".vrow.head input").check();
    await page.locator(".actionbar").getByRole("button", { name: "Check", exact: true }).click();
    await page.locator(".job").getByRole("button", { name: "Stop" }).click();
    await page.getByText(/stopped\. [\d,]+ of [\d,]+ are done/).waitFor();
  },

  async "rows are walked, selected and opened by keys; places are reached by g"() {
    await page.goto(`${url}/admin/keys`);
    await page.locator(".vrow:not(.loading) .c-key a").first().waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("x");
    await page.getByText("1 of 100,000 selected").waitFor();
    await page.keyboard.press("Escape");
    await until("nothing is selected", async () => (await page.locator(".actionbar").count()) === 0);
    await page.keyboard.press("/");
    check(await page.locator(".search").evaluate((n) => n === document.activeElement), "/ is the search");
    await page.keyboard.press("Escape");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await until("a key is open", () => /keys\/\d+$/.test(page.url()));
    for (const [key, part] of [["l", "/log"], ["c", "/chat"], ["s", "/settings"], ["k", "/keys"], ["o", "/admin"]]) {
      await page.keyboard.press("g");
      await page.keyboard.press(key);
      await until(`g ${key}`, () => page.url().endsWith(part));
    }
    await page.keyboard.press("?");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await until("the list of keys closes", async () => (await page.getByRole("dialog").count()) === 0);
  },

  async "Esc leads from a key back to where the table was left"() {
    await page.goto(`${url}/admin/keys?status=ready`);
    await page.locator(".vrow:not(.loading) .c-key a").first().waitFor();
    await page.locator(".virtual").evaluate((node) => { node.scrollTop = 900_000; });
    const index = () => page.locator(".vrow:not(.head)").first().getAttribute("aria-rowindex").then(Number);
    await until("the rows follow", async () => (await index()) > 20_000);
    await until("they are read", async () => (await page.locator(".vrow.loading").count()) === 0);
    await page.locator(".vrow:not(.head) .c-state").nth(15).click();
    await until("a key is open", () => /keys\/\d+$/.test(page.url()));
    await page.locator("main.key").waitFor();
    await page.keyboard.press("Escape");
    await until("the filter is the same", () => page.url().endsWith("/admin/keys?status=ready"));
    await until("the rows are the same", async () => (await index()) > 20_000);
    await page.goto(`${url}/admin/keys/7`); // by a link that somebody sent: nothing of ours lies behind
    await page.locator("main.key").waitFor();
    await page.keyboard.press("Escape");
    await until("the list of keys", () => page.url().endsWith("/admin/keys"));
  },

  async "the keyboard alone exports a key"() {
    await page.goto(`${url}/admin/keys`);
    await page.locator(".vrow:not(.loading) .c-key a").first().waitFor();
    for (const key of ["j", "j", "x"]) await page.keyboard.press(key);
    await page.getByText("1 of 100,000 selected").waitFor();
    const focused = () => page.evaluate(() => document.activeElement?.textContent);
    await until("Tab reaches Export", async () => {
      await page.keyboard.press("Tab");
      return (await focused()) === "Export";
    });
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await until("the password is asked for", async () => (await page.evaluate(() => document.activeElement?.type)) === "password");
    await page.keyboard.type(PASSWORD);
    const [file] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("Enter")]);
    check(readFileSync(await file.path(), "utf8").split("\n").length === 2, "one key is in the file");
    await until("the dialog is closed", async () => (await page.getByRole("dialog").count()) === 0);
  },

  async "new requests push no row away: a button says how many there are"() {
    await page.goto(`${url}/admin/log`);
    const row = page.locator(".logbox tbody tr").nth(3);
    await row.hover();
    const before = [await row.innerText(), (await row.boundingBox()).y];
    const button = page.getByRole("button", { name: /^\d+ new$/ });
    await button.waitFor();
    await until("there are several", async () => Number((await button.innerText()).split(" ")[0]) >= 2);
    check(JSON.stringify([await row.innerText(), (await row.boundingBox()).y]) === JSON.stringify(before), "the row stays where it is");
    const first = await page.locator(".logbox tbody tr").first().innerText();
    await button.click();
    await until("they are there", async () => (await page.locator(".logbox tbody tr").first().innerText()) !== first);
  },

  async "a chat shows what the model thinks apart, how fast it is, and can be stopped"() {
    await page.goto(`${url}/admin/chat`);
    await page.getByRole("combobox", { name: "Model" }).locator("option").first().waitFor({ state: "attached" });
    const ask = async () => {
      await page.getByLabel(/^Message/).fill("Say hello.");
      await page.getByRole("button", { name: "Send" }).click();
    };
    await ask();
    await page.getByRole("button", { name: "Once more" }).waitFor();
    const answer = page.getByRole("article").nth(1);
    check((await answer.locator(".content").innerText()).startsWith("Hello!"), "the answer is the answer alone");
    check(!(await answer.locator(".content").innerText()).includes("The user says"), "without what was thought");
    await answer.getByText(/^Thinking, \d+ characters$/).click();
    await answer.getByText(/^The user says hello/).waitFor();
    await answer.getByText(/first token after .* 61 tokens .* tokens\/s/).waitFor();
    await ask();
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("article").nth(3).getByText(/stopped/).waitFor();
  },

  async "what the settings show is in the address"() {
    await page.goto(`${url}/admin/settings`);
    await page.getByLabel("Search settings").fill("retries");
    await page.getByRole("button", { name: "LibreChat" }).click();
    await until("the address has it", () => page.url().includes("q=retries") && page.url().includes("client=libre"));
    await page.reload();
    await page.getByRole("rowheader", { name: "MAX_RETRIES" }).waitFor();
    check((await page.locator(".settings-table tbody tr").count()) === 1, "one setting matches");
    check((await page.locator(".code pre").innerText()).includes("endpoints:"), "the client is the same");
  },

  async "a duplicate has its line in the verdict"() {
    await page.goto(`${url}/admin/keys/add`);
    await page.locator(".paste textarea").fill("sk-twice-000000000000001\n\nsk-twice-000000000000001");
    await page.getByText("1 duplicate").waitFor();
    await page.getByRole("button", { name: "Duplicates" }).click();
    await page.getByRole("row", { name: /^3 / }).waitFor();
  },

  async "an import can be taken back"() {
    await page.goto(`${url}/admin/keys/add`);
    const text = Array.from({ length: 12_000 }, (_, i) => `sk-undo-${String(i).padStart(16, "0")}`).join("\n");
    await page.locator("input[type=file]").setInputFiles({ name: "keys.txt", mimeType: "text/plain", buffer: Buffer.from(text) });
    await page.getByRole("button", { name: "Add 12,000 keys" }).click();
    await page.getByRole("heading", { name: "12,000 keys added" }).waitFor();
    check(state.world.lastImport.count === 12_000, "the pieces are one import");
    await page.locator(".run").getByRole("button", { name: "Undo" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Undo" }).click();
    await page.getByText("12,000 keys deleted.").waitFor();
  },

  async "a line that was taken out is not imported"() {
    await page.goto(`${url}/admin/keys/add`);
    await page.locator(".paste textarea").fill("sk-out-0000000000000001\nsk-out-0000000000000002");
    await page.getByLabel("Add line 1").uncheck();
    await page.getByRole("button", { name: "Add 1 key" }).click();
    await page.getByRole("heading", { name: "1 key added" }).waitFor();
    check(state.world.list.at(-1).plain === "sk-out-0000000000000002", "the second line is there alone");
  },

  async "an ended session leads to the login and back to the place"() {
    await page.goto(`${url}/admin/keys?status=cooling`);
    await page.locator(".vrow").first().waitFor();
    state.sessions.clear();
    await page.locator(".statelink.dead").click();
    await page.getByText("Your session has ended").waitFor();
    await logIn();
    await until("the place is the same", async () => page.url().includes("status=dead") && (await page.locator(".vrow .state.dead").count()) > 0);
  },

  async "a server that goes away is noticed, and found again"() {
    await page.goto(`${url}/admin`);
    await page.locator(".live.on").waitFor();
    const { port } = server.address();
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
    await page.getByText("The server does not answer").waitFor();
    await new Promise((done) => server.listen(port, "127.0.0.1", done));
    await page.locator(".live.on").waitFor({ timeout: 20_000 });
    await until("the warning is gone", async () => (await page.locator(".down").count()) === 0);
  },
};

let failed = 0;
for (const [name, run] of Object.entries(CASES)) {
  try {
    await run();
    check(page.faults.length === 0, page.faults.join("; "));
    console.log(`ok ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAILED ${name}\n${String(error).slice(0, 2000)}\nat ${page.url()}`);
  }
}
await browser.close();
server.closeAllConnections();
server.close();
process.exitCode = failed ? 1 : 0;
