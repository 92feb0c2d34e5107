// Runs one client: takes jobs as lines of JSON, and for each says in one line of JSON what the
// client made of the answer, or the error that it threw and what came before.
// Each client is a module in clients/ whose default export makes an object of jobs by name.
import readline from "node:readline";

const made = await import(`./clients/${process.argv[2]}.mjs`);
const jobs = await made.default();

function told(error) {
  return {
    name: error.name,
    message: String(error.message),
    status: error.status ?? error.statusCode ?? null,
    code: error.code ?? error.error?.code ?? null,
  };
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const job = JSON.parse(line);
  const result = {};
  try {
    await jobs[job.what](job, result);
  } catch (error) {
    result.error = told(error);
  }
  console.log(JSON.stringify(result));
}
await jobs.close?.();
process.exit(0);
