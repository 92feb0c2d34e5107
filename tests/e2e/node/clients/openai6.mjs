// The same as the release before, which many programs still have: it reads on behind [DONE].
import OpenAI from "openai6";
import { zodResponseFormat } from "openai6/helpers/zod";
import { jobsOf } from "./openai.mjs";

export default () => jobsOf(OpenAI, zodResponseFormat);
