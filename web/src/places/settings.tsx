// Every effective setting and where it came from, and how clients are connected.
import { useEffect, useState } from "preact/hooks";
import { chatToken } from "../lib/api";
import { tr, trMaybe } from "../lib/i18n";
import { overview, useLoad } from "../lib/live";
import { place, setQuery } from "../lib/router";
import { API_BASE, clients } from "../lib/snippets";
import type { Setting } from "../lib/types";
import { Ago, Code, Copy, Failure, Skeleton } from "../ui/basics";

export function Settings() {
  const { data, error, reload } = useLoad<{ settings: Setting[] }>("/settings");
  const now = overview.use();
  return (
    <main class="place settings">
      <h1 class="offscreen">{tr("settings")}</h1>
      <Connect needsToken={now?.security.callersNeedToken ?? true} />
      <section class="card">
        <h2>{tr("effective")}</h2>
        <p class="faint">{tr("effectiveText")}</p>
        {error && <Failure error={error} again={reload} />}
        {!data && !error && <Skeleton rows={10} />}
        {data && <Table settings={data.settings} />}
      </section>
      {now && (
        <p class="faint">
          ollama2openai {now.version} · {tr("startedWord")} <Ago at={now.startedAt} />
        </p>
      )}
    </main>
  );
}

function Table({ settings }: { settings: Setting[] }) {
  const params = place.use().query;
  const typed = params.get("q") ?? "";
  const changed = params.get("set") === "1";
  const wanted = typed.trim().toLowerCase();
  const shown = settings.filter((s) =>
    (!changed || s.origin !== "default") &&
    (!wanted || `${s.name} ${s.value} ${helpOf(s)}`.toLowerCase().includes(wanted)));
  return (
    <>
      <div class="toolbar">
        <input type="search" class="search" value={typed} placeholder={tr("searchSettings")}
          aria-label={tr("searchSettings")} onInput={(e) => setQuery({ q: e.currentTarget.value }, true)} />
        <label class="check">
          <input type="checkbox" checked={changed} onChange={(e) => setQuery({ set: e.currentTarget.checked ? "1" : "" })} />
          {tr("onlyChanged")}
        </label>
      </div>
      {shown.length === 0 ? <p class="faint">{tr("noSettingMatch")}</p> : (
      <div class="scroll-x" tabIndex={0} role="region" aria-label={tr("effective")}>
        <table class="plain settings-table">
          <thead><tr><th>{tr("setting")}</th><th>{tr("value")}</th><th>{tr("origin")}</th><th>{tr("meaning")}</th></tr></thead>
          <tbody>
            {shown.map((s) => (
              <tr key={s.name}>
                <th scope="row" class="mono">{s.name}</th>
                <td class="mono value">{valueOf(s)}</td>
                <td><span class={`origin ${s.origin === "default" ? "" : "set"}`}>{trMaybe(`origin_${s.origin}`) ?? s.origin}</span></td>
                <td class="help">{helpOf(s)}{s.restart && <span class="faint">{tr("needsRestart")}</span>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      )}
    </>
  );
}

function valueOf(s: Setting) {
  if (s.secret) return <span class="faint">{s.set ? tr("isSet") : tr("isEmpty")}</span>;
  return s.value === "" ? <span class="faint">{tr("isEmpty")}</span> : s.value;
}

function helpOf(s: Setting): string {
  return trMaybe(`help_${s.name}`) ?? s.help;
}

function Connect({ needsToken }: { needsToken: boolean }) {
  const [model, setModel] = useState("llama3.2");
  const open = place.use().query.get("client");
  const token = needsToken ? "YOUR_API_TOKEN" : "";
  useEffect(() => {
    const controller = new AbortController();
    fetch("/v1/models", { credentials: "omit", headers: { Authorization: `Bearer ${chatToken()}` }, signal: controller.signal })
      .then(async (r) => {
        const first = r.ok ? ((await r.json()) as { data: { id: string }[] }).data[0]?.id : undefined;
        if (first) setModel(first);
      })
      .catch(() => {}); // the example's model then
    return () => controller.abort();
  }, []);
  const all = clients(token, model);
  const client = all.find((c) => c.where === open) ?? all[0]!;
  return (
    <section class="card">
      <h2>{tr("connect")}</h2>
      <dl class="facts">
        <dt>{tr("baseUrl")}</dt>
        <dd><code>{API_BASE}</code> <Copy text={API_BASE} /></dd>
        <dt>{tr("apiKey")}</dt>
        <dd>{needsToken ? tr("apiKeyToken") : tr("apiKeyNone")}</dd>
      </dl>
      <div class="tabs wrap" role="group" aria-label={tr("clients")}>
        {all.map((c) => (
          <button type="button" key={c.name} aria-pressed={c.name === client.name} onClick={() => setQuery({ client: c.where }, true)}>{c.name}</button>
        ))}
      </div>
      <p>{tr(`client_${client.where}`)}</p>
      <Code text={client.text} label={client.name} />
    </section>
  );
}
