import "./style/main.css";
import { render } from "preact";
render(<p>ollama2openai</p>, document.getElementById("app")!);
