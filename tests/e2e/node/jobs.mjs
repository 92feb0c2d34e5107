// What all clients are asked alike.
import { z } from "zod";

export const HI = [{ role: "user", content: "Hi" }];

// Two tools, and what they give.
export const TOOLS = {
  get_weather: {
    description: "The weather of a city",
    schema: z.object({ city: z.string() }),
    run: ({ city }) => `sunny in ${city}`,
  },
  add: {
    description: "Adds numbers",
    schema: z.object({ a: z.number(), b: z.number() }),
    run: ({ a, b }) => String(a + b),
  },
};

export const ANSWER = z.object({ city: z.string(), degrees: z.number() });

// As a caller of the API writes them, who has no package for it.
export const PLAIN_TOOLS = Object.entries(TOOLS).map(([name, tool]) => ({
  type: "function",
  function: { name, description: tool.description, parameters: z.toJSONSchema(tool.schema) },
}));
