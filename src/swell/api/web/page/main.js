// The page: messages change the state, and at most once per frame all that is shown follows it.

import { Chat } from "./chat.js";
import { byId, setText } from "./dom.js";
import { Feed } from "./feed.js";
import { Announcer, Happenings } from "./happenings.js";
import { Models } from "./models.js";
import { emptyState, take } from "./state.js";
import { Timeline } from "./timeline.js";
import { Totals } from "./totals.js";

const TICK_MS = 1000; // time passes in the timeline, too
const CONNECTIONS = { open: "live", lost: "connection lost, trying again …", paused: "paused" };

const state = emptyState();
let frame = null;

function render() {
  frame = null;
  for (const part of parts) part.render();
}

function renderSoon() {
  frame ??= requestAnimationFrame(render);
}

const chat = new Chat(state);
const announcer = new Announcer();
const parts = [new Totals(state), new Models(state), new Timeline(state, renderSoon), new Happenings(state), chat];

const feed = new Feed(
  "api/events",
  (name, data) => {
    take(state, name, data, Date.now() / 1000);
    if (name === "event") announcer.hear(data);
    renderSoon();
  },
  (connection) => {
    setText(byId("connection"), CONNECTIONS[connection]);
    byId("connection").dataset.state = connection;
    if (connection === "open") chat.refresh();
  },
);

byId("chat-model").addEventListener("change", renderSoon);
setInterval(renderSoon, TICK_MS);
feed.start();
renderSoon();
