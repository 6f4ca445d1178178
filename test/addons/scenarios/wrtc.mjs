// A WebRTC data channel between two peers of the process. Node 20 crashes in the addon (0.8.0) when it exits afterward; Bun does not.

import wrtc from "@roamhq/wrtc";
import { scenario } from "./scenario.mjs";

const MESSAGES = 500;

scenario("@roamhq/wrtc", async ({ equal }) => {
  const [a, b] = [new wrtc.RTCPeerConnection(), new wrtc.RTCPeerConnection()];
  a.onicecandidate = ({ candidate }) => candidate && b.addIceCandidate(candidate);
  b.onicecandidate = ({ candidate }) => candidate && a.addIceCandidate(candidate);
  b.ondatachannel = ({ channel }) => {
    channel.addEventListener("message", ({ data }) => channel.send(data));
    channel.send("ready");
  };
  const channel = a.createDataChannel("messages");
  // A message that arrives before the peer has a handler is lost.
  const ready = new Promise((resolve) => channel.addEventListener("message", resolve, { once: true }));
  await a.setLocalDescription(await a.createOffer());
  await b.setRemoteDescription(a.localDescription);
  await b.setLocalDescription(await b.createAnswer());
  await a.setRemoteDescription(b.localDescription);
  await ready;
  const echoed = await new Promise((resolve) => {
    let next = 0;
    channel.addEventListener("message", ({ data }) => {
      if (data !== `message ${next}`) resolve(`${data} instead of message ${next}`);
      if (++next === MESSAGES) resolve(next);
    });
    for (let number = 0; number < MESSAGES; number++) channel.send(`message ${number}`);
  });
  equal("messages echoed in order", echoed, MESSAGES);
  const closed = new Promise((resolve) => channel.addEventListener("close", resolve, { once: true }));
  channel.close();
  await closed;
  a.close();
  b.close();
});
