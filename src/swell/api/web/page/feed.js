// The stream of events, opened anew whenever it ends, and closed while nobody can see the page: a hidden one costs the
// server nothing, and browsers have only six connections to it.

const RETRY_S = [0.5, 1, 2, 3, 5];
const NAMES = ["snapshot", "numbers", "event"];

export class Feed {
  /** `onMessage(name, data)`; `onChange(state)` hears "open", "lost" or "paused". */
  constructor(path, onMessage, onChange) {
    this.path = path;
    this.onMessage = onMessage;
    this.onChange = onChange;
    this.source = null;
    this.timer = null;
    this.failures = 0;
  }

  start() {
    document.addEventListener("visibilitychange", () => this.#follow());
    window.addEventListener("pagehide", () => this.#close());
    window.addEventListener("pageshow", () => this.#follow());
    this.#follow();
  }

  #follow() {
    if (document.hidden) {
      this.#close();
      this.onChange("paused");
    } else if (this.source === null) this.#open();
  }

  #open() {
    this.#close();
    this.source = new EventSource(this.path);
    for (const name of NAMES) {
      this.source.addEventListener(name, (message) => {
        if (name === "snapshot") {
          this.failures = 0;
          this.onChange("open");
        }
        this.onMessage(name, JSON.parse(message.data));
      });
    }
    this.source.addEventListener("lost", () => this.#open()); // a new snapshot has it all
    this.source.onerror = () => this.#retry(); // a message called "error" of the server's comes here, too
  }

  #retry() {
    this.#close();
    this.onChange("lost");
    const pause_s = RETRY_S[Math.min(this.failures, RETRY_S.length - 1)] * (0.8 + 0.4 * Math.random());
    this.failures += 1;
    this.timer = setTimeout(() => this.#follow(), pause_s * 1000);
  }

  #close() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }
}
