// The page: asks, shows the answer as it comes, and finds its stream again after a reload.

const { GenerationStream } = await import(document.body.dataset.streamModule);

const REMEMBERED = "generation";
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
  stream.addEventListener("text", (event) => {
    sessionStorage.setItem(REMEMBERED, stream.generationId);
    state.textContent = "Writing";
    // As text: what a model writes is never markup of ours.
    answer.append(event.detail);
  });
  stream.addEventListener("reconnect", () => (state.textContent = "Cut off; coming back"));
  stream.addEventListener("error", (event) => (state.textContent = event.detail.message));
  const end = await stream.start();
  sessionStorage.removeItem(REMEMBERED);
  if (end) state.textContent = `${end.status}, ${end.credits_used ?? "unknown"} credits`;
  form.querySelector("button").disabled = false;
}
