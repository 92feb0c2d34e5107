import "./style/tokens.css";
import "./style/base.css";
import "./style/frame.css";
import "./style/places.css";
import "./style/table.css";
import { render } from "preact";
import { App } from "./app";
import { startLive } from "./lib/live";
import { applyPrefs } from "./lib/prefs";

applyPrefs();
startLive();
render(<App />, document.getElementById("app")!);
