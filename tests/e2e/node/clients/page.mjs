// A page in headless Chromium, of another origin than the API: page/index.html. What it asks
// and how it reads streams is in page/page.js; here are only the browser, which O2O_CHROMIUM names,
// and the page's server.
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { chromium } from "playwright-core";
import { z } from "zod";
import { ANSWER, HI, PLAIN_TOOLS, TOOLS } from "../jobs.mjs";

const FOLDER = path.resolve(import.meta.dirname, "..");
const PLACES = {
  "/page/": `${FOLDER}/page/`,
  "/fetch/": `${FOLDER}/node_modules/@microsoft/fetch-event-source/lib/esm/`,
  "/openai/": `${FOLDER}/node_modules/openai/`,
};
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript" };
// A name on the web, which the browser finds here.
const HOST = "app.example.com";

// The file of a path; the package's own imports leave out the suffix.
function fileOf(url) {
  const [place, folder] = Object.entries(PLACES).find(([prefix]) => url.startsWith(prefix)) ?? [];
  if (!place) return null;
  const file = path.join(folder, url.slice(place.length));
  return file.startsWith(folder) ? [file, `${file}.js`].find((name) => fs.existsSync(name)) : null;
}

function serve(request, response) {
  const file = fileOf(new URL(request.url, "http://x").pathname);
  if (!file) return response.writeHead(404).end();
  response.writeHead(200, { "Content-Type": TYPES[path.extname(file)] });
  response.end(fs.readFileSync(file));
}

export default async function () {
  const server = http.createServer(serve);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  const browser = await chromium.launch({ executablePath: process.env.O2O_CHROMIUM, args: [
    "--no-sandbox", "--no-proxy-server",
    `--host-resolver-rules=MAP ${HOST} 127.0.0.1` ] });

  // The page runs a job as the other clients do. `errors` are those of the browser's console.
  async function run(job, result) {
    const page = await browser.newPage();
    const errors = [];
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    try {
      await page.goto(`http://${job.host ?? HOST}:${port}/page/index.html`);
      await page.waitForFunction(() => globalThis.run);
      const common = { hi: HI, tools: PLAIN_TOOLS, schema: z.toJSONSchema(ANSWER) };
      const first = await page.evaluate((given) => globalThis.run(given), { ...job, ...common });
      Object.assign(result, first);
      if (job.what === "tools" && !first.error) {
        const results = first.calls.map(({ name, args }) => TOOLS[name].run(args));
        const second = await page.evaluate((given) => globalThis.run(given),
          { ...job, ...common, results, raw_calls: first.raw_calls });
        Object.assign(result, { text: second.text, error: second.error });
      }
    } finally {
      result.console = errors;
      await page.close();
    }
  }

  return {
    chat: run, stream: run, tools: run, object: run, embed: run, sdk: run,
    async close() {
      await browser.close();
      server.close();
    },
  };
}
