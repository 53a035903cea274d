// Follows a task by its server-sent events; EventSource can't send a key, so they are read from fetch.

import { address, call, credentials } from "../api.js";

const PATIENCE = 5; // connections that may break one after the other

/**
 * Call `onStage` with each stage, and return the task as it ended. Goes on after the last event where a
 * connection broke; after too many of them the task is asked for until it has ended.
 */
export async function follow(taskId, { key, onStage, signal }) {
  let last = null;
  for (let broken = 0; broken < PATIENCE; broken += 1) {
    try {
      const headers = { Accept: "text/event-stream", ...credentials(key), ...(last ? { "Last-Event-ID": last } : {}) };
      const answer = await fetch(address(`/tasks/${taskId}/events`, key), { headers, credentials: key ? "omit" : "same-origin", signal });
      if (answer.status === 204 || !answer.ok) break;
      for await (const event of events(answer.body)) {
        last = event.id;
        broken = 0;
        const data = JSON.parse(event.data);
        if (data.task) return data.task;
        onStage(data.stage);
      }
    } catch (error) {
      if (error.name === "AbortError") throw error;
      await new Promise((resolve) => setTimeout(resolve, 500 * (broken + 1)));
    }
  }
  for (;;) {
    const { data } = await call("GET", `/tasks/${taskId}?wait=20`, { key, signal });
    if (data.status !== "IN_PROGRESS") return data;
    onStage(data.stage);
  }
}

async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value.replaceAll("\r", "");
    const whole = text.split("\n\n");
    text = whole.pop();
    for (const block of whole) {
      const event = {};
      for (const line of block.split("\n")) {
        const colon = line.indexOf(":");
        if (colon > 0) event[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
      }
      if (event.data) yield event;
    }
  }
}
