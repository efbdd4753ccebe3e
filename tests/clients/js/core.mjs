// @cubejs-client/core in Node, over HTTP: each answer is printed as a line of JSON.
import cube from '@cubejs-client/core';
import { blended, byCarrier, byMonthAndOrigin, compared, counted } from './questions.mjs';

const [url, token] = process.argv.slice(2);
const api = cube(token, { apiUrl: `${url}/cubejs-api/v1`, pollInterval: 1 });
const show = (step, value) => console.log(JSON.stringify({ step, value }));

const progress = [];
const loaded = await api.load(byCarrier, { progressCallback: (p) => progress.push(p) });
show('load', loaded.rawData());
show('progress', progress.length);

for (const format of ['compact', 'columnar']) {
  const other = await api.load(byCarrier, undefined, undefined, format);
  show(format, other.rawData());
}
const cast = await api.load(byCarrier, { castNumerics: true });
show('castNumerics', cast.rawData());

const months = await api.load(byMonthAndOrigin);
show('pivot', months.pivot());
show('tablePivot', months.tablePivot());
show('chartPivot', months.chartPivot({ x: ['flights.flight_date.month'], y: ['flights.origin'] }));
show('series', months.series({ x: ['flights.flight_date.month'], y: ['flights.origin'] }));
show('tableColumns', months.tableColumns());

const drill = months.drillDown({
  xValues: ['2013-02-01T00:00:00.000'],
  yValues: ['JFK', 'flights.count'],
}, { x: ['flights.flight_date.month'], y: ['flights.origin', 'measures'] });
const drilled = await api.load({ ...drill, limit: 50000 });
show('drillDown', { members: drill.dimensions, rows: drilled.rawData().length });

const both = await api.load(compared);
show('compareDateRange', both.decompose().map((one) => one.rawData()));
show('compareSeries', both.series());

const mixed = await api.load(blended);
show('blending', mixed.tablePivot());

const sql = await api.sql(byCarrier);
show('sql', sql.rawQuery().sql);

const meta = await api.meta();
show('meta', meta.membersForQuery({}, 'measures').map((m) => m.name)
  .filter((name) => name.startsWith('flights.')).length);
show('metaResolve', meta.resolveMember('flights.count', 'measures').shortTitle);
show('metaViews', (await api.meta({ onlyViews: true })).cubes.map((c) => c.name));

const dry = await api.dryRun(byMonthAndOrigin);
show('dryRun', { queryType: dry.queryType, order: dry.queryOrder, pivot: dry.pivotQuery.measures });

const long = await api.load({
  ...counted,
  filters: [{
    member: 'flights.origin',
    operator: 'notEquals',
    values: Array.from({ length: 500 }, (_, i) => `none-${i}`),
  }],
});
show('longQuery', long.rawData());

const table = await api.cubeSql(
  'SELECT origin, MEASURE(count) AS n FROM flight_operations GROUP BY 1 ORDER BY 1',
);
show('cubeSql', { names: table.schema.map((c) => c.name), data: table.data });
const streamed = [];
for await (const chunk of api.cubeSqlStream(
  'SELECT origin, MEASURE(count) AS n FROM flight_operations GROUP BY 1 ORDER BY 1',
)) {
  if (chunk.type === 'error') throw new Error(chunk.error);
  if (chunk.type === 'data') streamed.push(...chunk.data);
}
show('cubeSqlStream', streamed);

try {
  await api.load({ measures: ['flights.no_such'] });
} catch (error) {
  show('error', { status: error.status, says: error.toString().includes('no_such') });
}
try {
  await cube('nonsense', { apiUrl: `${url}/cubejs-api/v1` }).load(counted);
} catch (error) {
  show('token', { status: error.status });
}

const seen = [];
await new Promise((resolve) => {
  const subscription = api.subscribe(counted, {}, (error, result) => {
    seen.push(error ? String(error) : result.rawData());
    if (seen.length === 2) {
      subscription.unsubscribe();
      resolve();
    }
  });
});
show('subscribe', seen);
