// Browsers start no worker for a page that was opened from disk, and the search of these pages runs
// in one. There, and only there, its script runs in a hidden frame that is spoken to in the same way.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.appendChild(frame);
      const inside = frame.contentWindow;
      const load = (source) => new Promise((done, failed) => {
        const script = inside.document.createElement("script");
        Object.assign(script, {src: source, onload: done, onerror: failed});
        inside.document.head.appendChild(script);
      });
      // A worker waits for what it imports; a frame can't, so scripts follow each other as promises.
      inside.importScripts = (...sources) =>
        sources.reduce((before, source) => before.then(() => load(source)), Promise.resolve());
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", {data}));
      this.tell = (data) => inside.dispatchEvent(new inside.MessageEvent("message", {data}));
      load(new URL(url, location)).then(() => {
        const waiting = this.waiting;
        this.waiting = null;
        waiting.forEach(this.tell);
      });
    }

    postMessage(data) {
      this.waiting ? this.waiting.push(data) : this.tell(data);
    }
  };
}
