// A table of which only the rows in view are in the document: a hundred thousand cost as a hundred.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

const BEYOND = 12; // rows kept ready above and below
const MOST = 300; // rows at once, whatever the layout says

export function useNarrow(): boolean {
  const query = "(max-width: 760px)";
  const [narrow, setNarrow] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const media = matchMedia(query);
    const changed = () => setNarrow(media.matches);
    media.addEventListener("change", changed);
    return () => media.removeEventListener("change", changed);
  }, []);
  return narrow;
}

export interface VirtualProps {
  label: string;
  count: number;
  rowHeight: number;
  head: ComponentChildren;
  row: (index: number) => JSX.Element;
  onRange: (first: number, last: number) => void;
  scrollTo: number | null; // brought into view when it changes
  what: string; // another list begins at its top
}

/** Where the last table was left, for who comes back to it. */
let left = { what: "", top: 0 };

export function Virtual(props: VirtualProps) {
  const box = useRef<HTMLDivElement>(null);
  const pending = useRef(left.what === props.what ? left.top : 0);
  const [range, setRange] = useState({ first: 0, last: 40 });

  const measure = () => {
    const node = box.current;
    if (!node) return;
    if (node.scrollTop > 0) pending.current = 0;
    if (pending.current === 0) left = { what: props.what, top: node.scrollTop };
    const first = Math.max(0, Math.floor(node.scrollTop / props.rowHeight) - BEYOND);
    const seen = Math.ceil((node.scrollTop + node.clientHeight) / props.rowHeight) + BEYOND;
    const last = Math.min(seen, first + MOST);
    setRange((old) => (old.first === first && old.last === last ? old : { first, last }));
  };

  useLayoutEffect(() => {
    if (box.current && pending.current === 0) box.current.scrollTop = 0;
    measure();
  }, [props.what]);

  useLayoutEffect(() => {
    const node = box.current;
    if (node && pending.current > 0 && props.count * props.rowHeight > pending.current) {
      node.scrollTop = pending.current;
      pending.current = 0;
    }
    measure();
  }, [props.rowHeight, props.count]);

  useEffect(() => {
    const sizes = new ResizeObserver(measure);
    sizes.observe(box.current!);
    return () => sizes.disconnect();
  }, [props.rowHeight]);

  const last = Math.min(range.last, props.count - 1);
  useEffect(() => {
    if (props.count > 0) props.onRange(range.first, Math.max(range.first, last));
  }, [range.first, last, props.what]);

  useLayoutEffect(() => {
    const node = box.current;
    if (!node || props.scrollTo === null) return;
    const top = props.scrollTo * props.rowHeight;
    const head = node.querySelector<HTMLElement>(".vhead")?.offsetHeight ?? 0;
    const room = node.clientHeight - head;
    if (top < node.scrollTop) node.scrollTop = top;
    else if (top + props.rowHeight > node.scrollTop + room) node.scrollTop = top + props.rowHeight - room;
  }, [props.scrollTo]);

  const rows: JSX.Element[] = [];
  for (let i = range.first; i <= last; i++) rows.push(props.row(i));
  return (
    <div class="virtual" ref={box} onScroll={measure} role="table" aria-label={props.label}
      aria-rowcount={props.count + 1}>
      <div class="vhead" role="rowgroup">{props.head}</div>
      <div class="vbody" role="rowgroup" style={{ height: `${props.count * props.rowHeight}px` }}>
        <div class="vwindow" style={{ transform: `translateY(${range.first * props.rowHeight}px)` }}
          role="presentation">
          {rows}
        </div>
      </div>
    </div>
  );
}
