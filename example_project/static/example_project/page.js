// The page: asks, shows the answer as it comes, and finds its stream again after a reload.

const { GenerationStream } = await import(document.body.dataset.streamModule);

const REMEMBERED = "generation";
const FINAL = ["done", "failed", "cancelled", "expired"];
const LOOK_AGAIN_MS = 5_000;
const form = document.querySelector("#ask");
const answer = document.querySelector("#answer");
const state = document.querySelector("#state");

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const fields = new FormData(form);
  const body = {
    model_name: fields.get("model_name"),
    messages: [{ role: "user", content: fields.get("prompt") }],
  };
  show(new GenerationStream(form.dataset.url, { body }));
});

const unfinished = sessionStorage.getItem(REMEMBERED);
if (unfinished) {
  show(new GenerationStream(form.dataset.url.replace("stream/", `${unfinished}/stream/`)));
}

async function show(stream) {
  form.querySelector("button").disabled = true;
  answer.textContent = "";
  state.textContent = "Waiting for the first words";
  stream.addEventListener("chunk", () => {
    sessionStorage.setItem(REMEMBERED, stream.generationId);
  });
  stream.addEventListener("text", (event) => {
    state.textContent = "Writing";
    // As text: what a model writes is never markup of ours.
    answer.append(event.detail);
  });
  stream.addEventListener("reconnect", () => (state.textContent = "Cut off; coming back"));
  let reason = "";
  stream.addEventListener("error", (event) => (state.textContent = reason = event.detail.message));
  let end = await stream.start();
  // Broken off on its way from the model: the site asks what became of it, and then has the rest.
  while (end && !FINAL.includes(end.status)) {
    state.textContent = reason;
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    end = await stream.start();
  }
  if (end) {
    sessionStorage.removeItem(REMEMBERED);
    const cost = `${end.status}, ${end.credits_used ?? "unknown"} credits`;
    state.textContent = end.status === "done" ? cost : `${reason} (${cost})`;
  }
  form.querySelector("button").disabled = false;
}
