// Time series by uPlot. Charts with the same `sync` share one cursor.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { clock, exact, short } from "../lib/format";
import { lang, isDark, theme } from "../lib/prefs";

export interface Line {
  label: string;
  values: (number | null)[];
  color: string; // a custom property: "--accent"
  fill?: boolean;
  format?: (n: number) => string;
}

export interface ChartProps {
  title: string;
  times: number[]; // Unix seconds
  lines: Line[];
  sync: string;
  summary: string; // said to those who cannot see it
  axis?: (n: number) => string;
  days: boolean; // label the axis by days
}

const HEIGHT = 168;

function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function options(props: ChartProps, width: number, onIndex: (i: number | null) => void): uPlot.Options {
  const faint = token("--text-3");
  const grid = { stroke: token("--line"), width: 1 };
  const font = `11px ${token("--sans")}`;
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: {
      sync: { key: props.sync, setSeries: false },
      y: false,
      points: { size: 6 },
      drag: { setScale: false, x: false, y: false },
    },
    padding: [8, 20, 0, 0],
    scales: { x: { time: true }, y: { range: (_u, _min, max) => [0, Math.max(1, max * 1.1)] } },
    axes: [
      {
        stroke: faint,
        font,
        grid: { show: false },
        ticks: { show: false },
        size: 24,
        space: 64,
        values: (_u, splits) => splits.map((s) => axisTime(s, props.days)),
      },
      {
        stroke: faint,
        font,
        grid,
        ticks: { show: false },
        size: 46,
        space: 36,
        values: (_u, splits) => splits.map((s) => (props.axis ?? short)(s)),
      },
    ],
    series: [
      {},
      ...props.lines.map((line) => ({
        label: line.label,
        stroke: token(line.color),
        width: 1.5,
        points: { show: false, size: 4, filter: (u: uPlot, i: number) => alone(u.data[i] as (number | null)[]) },
        spanGaps: false,
        ...(line.fill ? { fill: `${token(line.color)}22` } : {}),
      })),
    ],
    hooks: { setCursor: [(u) => onIndex(u.cursor.idx ?? null)] },
  };
}

/** Values with none beside them, which no line would show. */
function alone(values: (number | null)[]): number[] {
  const out: number[] = [];
  values.forEach((v, i) => {
    if (v != null && values[i - 1] == null && values[i + 1] == null) out.push(i);
  });
  return out;
}

function axisTime(seconds: number, days: boolean): string {
  const date = new Date(seconds * 1000);
  if (days) return `${date.getMonth() + 1}/${date.getDate()}`;
  return clock(date.getTime()).slice(0, 5);
}

export function Chart(props: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const readout = useRef<HTMLDivElement>(null);
  const chosen = theme.use();
  lang.use();
  const data = [props.times, ...props.lines.map((l) => l.values)] as uPlot.AlignedData;
  const latest = useRef(props);
  latest.current = props;

  const show = (index: number | null) => {
    const p = latest.current;
    const node = readout.current;
    if (!node) return;
    const at = index === null ? null : p.times[index];
    node.querySelector("time")!.textContent = at == null ? "" : exact(at * 1000);
    p.lines.forEach((line, i) => {
      const value = index === null ? null : line.values[index];
      const text = value == null ? "" : (line.format ?? String)(value);
      node.querySelectorAll("b")[i]!.textContent = text;
    });
  };

  useEffect(() => {
    const node = box.current!;
    const make = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(latest.current, node.clientWidth, show), data, node);
    };
    make();
    const sizes = new ResizeObserver(() => {
      if (plot.current && plot.current.width !== node.clientWidth)
        plot.current.setSize({ width: node.clientWidth, height: HEIGHT });
    });
    sizes.observe(node);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", make);
    return () => {
      sizes.disconnect();
      scheme.removeEventListener("change", make);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [chosen, isDark(), props.days, lang.get(), props.lines.map((l) => l.label).join()]);

  useEffect(() => {
    plot.current?.setData(data);
  });

  return (
    <figure class="chart">
      <figcaption>
        <h3>{props.title}</h3>
        <div class="readout" ref={readout}>
          <time />
          {props.lines.map((line) => (
            <span key={line.label}>
              <i class={`swatch ${line.color.slice(2)}`} />
              {line.label} <b />
            </span>
          ))}
        </div>
      </figcaption>
      <div class="plot" ref={box} role="img" aria-label={`${props.title}: ${props.summary}`} />
    </figure>
  );
}
