// @cubejs-client/ws-transport in Node: one WebSocket for everything, and results that are pushed.
import cube from '@cubejs-client/core';
import WebSocketTransport from '@cubejs-client/ws-transport';
import { blended, byCarrier, compared, counted } from './questions.mjs';

const Transport = WebSocketTransport.default ?? WebSocketTransport;
const [url, token] = process.argv.slice(2);
const transport = new Transport({ authorization: token, apiUrl: url.replace('http', 'ws') });
const api = cube(token, { transport });
const show = (step, value) => console.log(JSON.stringify({ step, value }));

show('load', (await api.load(byCarrier)).rawData());
show('compareDateRange', (await api.load(compared)).decompose().map((one) => one.rawData()));
show('blending', (await api.load(blended)).tablePivot());
show('sql', (await api.sql(byCarrier)).rawQuery().sql);
show('metaViews', (await api.meta({ onlyViews: true })).cubes.map((c) => c.name));
show('dryRun', (await api.dryRun(byCarrier)).queryOrder);
try {
  await api.load({ measures: ['flights.no_such'] });
} catch (error) {
  show('error', { status: error.status, says: error.toString().includes('no_such') });
}

const subscription = api.subscribe(counted, {}, (error, result) => {
  show('pushed', error ? String(error) : result.rawData());
});
let pushes = 0;
const log = console.log;
await new Promise((resolve) => {
  console.log = (line) => {
    log(line);
    pushes += line.includes('"pushed"') ? 1 : 0;
    if (pushes === 2) resolve();
  };
});
await subscription.unsubscribe();
show('load again', (await api.load(counted)).rawData());
// The client sends what it still has to say a moment later, and opens a new socket for it.
await new Promise((resolve) => { setTimeout(resolve, 500); });
await transport.close();
