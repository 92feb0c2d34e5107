// The bar of states: how the keys are at a glance, and the filter for them.
import { num } from "../lib/format";
import { tr } from "../lib/i18n";
import { STATES, type State, type States } from "../lib/types";
import { Link, Shape } from "./basics";

export function StateBar(props: {
  states: States;
  active?: readonly State[];
  to: (state: State) => string;
}) {
  const total = STATES.reduce((sum, s) => sum + props.states[s], 0);
  return (
    <div class="statebar">
      <div class="bar" aria-hidden="true">
        {STATES.filter((s) => props.states[s] > 0).map((s) => (
          <span key={s} class={`fill ${s}`} style={{ flexGrow: String(share(props.states[s], total)) }} />
        ))}
      </div>
      <ul>
        {STATES.map((s) => (
          <li key={s}>
            <Link
              to={props.to(s)}
              class={`statelink ${s} ${props.active?.includes(s) ? "active" : ""}`}
              current={props.active?.includes(s) ?? false}
            >
              <Shape state={s} />
              <span class="count">{num(props.states[s])}</span>
              <span>{tr(s)}</span>
            </Link>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Even a few among thousands are to be seen. */
function share(n: number, total: number): number {
  if (n === 0 || total === 0) return 0;
  return Math.max(n / total, 0.008);
}
