// usage: node chat.mjs SCENARIO SITE COOKIE CONVERSATION
// Talks with a site through the package `ai`, which is beside this file, and the module of the
// how-to page; prints what a page would show.
import {
  AbstractChat,
  DefaultChatTransport,
  lastAssistantMessageIsCompleteWithToolCalls,
} from 'ai';
import { visit } from './site.mjs';
import { csrf, decide, loadMessages, stopAnswer, transport, upload } from './textgen.mjs';

const [scenario, site, cookie, conversation] = process.argv.slice(2);

globalThis.document = { cookie };
visit(site, cookie);

class State {
  status = 'ready';
  error = undefined;

  constructor(messages) {
    this.messages = messages;
  }

  pushMessage = (message) => {
    this.messages = [...this.messages, message];
  };
  popMessage = () => {
    this.messages = this.messages.slice(0, -1);
  };
  replaceMessage = (index, message) => {
    this.messages = this.messages.with(index, structuredClone(message));
  };
  snapshot = (value) => structuredClone(value);
}

class Chat extends AbstractChat {
  constructor({ messages = [], ...options } = {}) {
    super({ id: conversation, transport: transport(), ...options, state: new State(messages) });
  }

  get shown() {
    const { messages, status, error } = this;
    return { messages, status, error: error?.message ?? null };
  }
}

async function until(isTrue) {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 5));
}

function isAnswering({ lastMessage }) {
  return lastMessage?.role === 'assistant' && lastMessage.parts.some((part) => part.text);
}

const scenarios = {
  async talk() {
    const chat = new Chat();
    await chat.sendMessage({ text: 'Hello' });
    await chat.sendMessage({ text: 'And then?' });
    return [chat.shown, await loadMessages(conversation)];
  },

  async attach() {
    const chat = new Chat();
    const png = Buffer.from(process.env.PNG, 'base64');
    await chat.sendMessage({ text: 'Who?', files: [await upload(new File([png], 'a.png'))] });
    return [chat.shown, await loadMessages(conversation)];
  },

  async tools() {
    const chat = new Chat({
      sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls,
      onToolCall: ({ toolCall: { toolName: tool, toolCallId } }) => {
        chat.addToolOutput({ tool, toolCallId, output: { sky: 'clear' } });
      },
    });
    await chat.sendMessage({ text: 'What is the weather in Rome?' });
    await until(() => chat.error || (chat.status === 'ready' && chat.lastMessage.parts.at(-1).text));
    return [chat.shown, await loadMessages(conversation)];
  },

  async run() {
    const chat = new Chat({
      transport: transport({ send: 'run/' }),
      // Must not be called for what the site has executed, nor send anything again.
      onToolCall: ({ toolCall }) => Promise.reject(new Error(`asked for ${toolCall.toolName}`)),
      sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls,
    });
    await chat.sendMessage({ text: 'What is the weather in Rome?' });
    return [chat.shown, await loadMessages(conversation)];
  },

  async resumeRun() {
    const chat = new Chat({ transport: transport({ send: 'run/' }) });
    const sent = chat.sendMessage({ text: 'What is the weather in Rome?' });
    await until(() => chat.lastMessage?.parts.some((part) => part.state === 'output-available'));
    const other = new Chat({ messages: chat.messages.slice(0, 1) });
    await other.resumeStream();
    await sent;
    const late = new Chat();
    await late.resumeStream();
    return [chat.shown, other.shown, late.shown];
  },

  async resumeLoadedRun() {
    const chat = new Chat({ transport: transport({ send: 'run/' }) });
    const sent = chat.sendMessage({ text: 'What is the weather in Rome?' });
    await until(() => chat.lastMessage?.parts.some((part) => part.state === 'output-available'));
    const other = new Chat({ messages: await loadMessages(conversation) });
    await other.resumeStream();
    await sent;
    return [chat.shown, other.shown, await loadMessages(conversation)];
  },

  async approve() {
    const chat = new Chat({ transport: transport({ send: 'run/' }) });
    await chat.sendMessage({ text: 'Write to Ann.' });
    const waiting = chat.shown;
    const [call] = chat.lastMessage.metadata.waiting;
    await decide(chat.lastMessage, call, 'approve');
    chat.messages = chat.messages.slice(0, -1);
    await chat.resumeStream();
    return [waiting, chat.shown, await loadMessages(conversation)];
  },

  async stopRun() {
    const chat = new Chat({ transport: transport({ send: 'run/' }) });
    const sent = chat.sendMessage({ text: 'What is the weather in Rome?' });
    await until(() => isAnswering(chat));
    const response = await stopAnswer(chat.lastMessage);
    await sent;
    return [chat.shown, response.status];
  },

  async load() {
    return [await loadMessages(conversation)];
  },

  async resume() {
    const chat = new Chat();
    const sent = chat.sendMessage({ text: 'Hello' });
    await until(() => isAnswering(chat));
    const other = new Chat({ messages: chat.messages.slice(0, 1) });
    await other.resumeStream();
    await sent;
    const late = new Chat();
    await late.resumeStream();
    return [chat.shown, other.shown, late.shown];
  },

  async stop() {
    const chat = new Chat();
    const sent = chat.sendMessage({ text: 'Hello' });
    await until(() => isAnswering(chat));
    const response = await stopAnswer(chat.lastMessage);
    await sent;
    return [chat.shown, response.status];
  },

  async fail() {
    const chat = new Chat();
    await chat.sendMessage({ text: 'Hello' });
    return [chat.shown];
  },

  async alone() {
    const api = '/textgen/generations/stream/?format=ui-message-stream';
    const chat = new Chat({ transport: new DefaultChatTransport({ api, headers: csrf }) });
    await chat.sendMessage({ text: 'Hello' });
    await chat.sendMessage({ text: 'And then?' });
    return [chat.shown];
  },
};

console.log(JSON.stringify(await scenarios[scenario]()));
