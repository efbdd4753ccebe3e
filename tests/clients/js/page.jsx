// @cubejs-client/react in a page: hooks, a renderer, and a subscription over a WebSocket.
import { useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import cube from '@cubejs-client/core';
import WebSocketTransport from '@cubejs-client/ws-transport';
import {
  CubeProvider, QueryBuilder, QueryRenderer, useCubeMeta, useCubeQuery, useCubeSql, useDryRun,
} from '@cubejs-client/react';
import { blended, byCarrier, byMonthAndOrigin, compared, counted } from './questions.mjs';

const asked = new URLSearchParams(window.location.hash.slice(1));
const [url, token] = [asked.get('url'), asked.get('token')];
const api = cube(token, { apiUrl: `${url}/cubejs-api/v1` });
const live = cube(token, {
  transport: new WebSocketTransport({ authorization: token, apiUrl: url.replace('http', 'ws') }),
});
window.results = {};
const keep = (step, value) => { window.results[step] = value; };

function Table() {
  const { resultSet, error } = useCubeQuery(byCarrier);
  const [drill, setDrill] = useState(null);
  const drilled = useCubeQuery({ ...drill, limit: 50000 }, { skip: !drill });
  useEffect(() => {
    if (!resultSet) return;
    keep('useCubeQuery', resultSet.rawData());
    setDrill(resultSet.drillDown({ xValues: ['UA'], yValues: ['flights.count'] }));
  }, [resultSet]);
  useEffect(() => {
    if (drilled.resultSet) keep('drillDown', drilled.resultSet.rawData().length);
  }, [drilled.resultSet]);
  if (error) return <p id="error">{String(error)}</p>;
  if (!resultSet) return <p>Loading</p>;
  return (
    <table>
      <tbody>
        {resultSet.tablePivot().map((row) => (
          <tr key={row['flights.carrier']}>
            <td>{row['flights.carrier']}</td><td>{row['flights.count']}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Others() {
  const pair = useCubeQuery(compared);
  const mixed = useCubeQuery(blended);
  const meta = useCubeMeta();
  const dry = useDryRun(byMonthAndOrigin);
  const sql = useCubeSql(byCarrier);
  const wrong = useCubeQuery({ measures: ['flights.no_such'] });
  const pushed = useCubeQuery(counted, { subscribe: true, cubeApi: live });
  useEffect(() => {
    if (pair.resultSet) keep('compareDateRange', pair.resultSet.decompose().map((r) => r.rawData()));
    if (mixed.resultSet) keep('blending', mixed.resultSet.tablePivot());
    if (meta.response) keep('useCubeMeta', meta.response.cubes.map((c) => c.name));
    if (dry.response) keep('useDryRun', dry.response.queryOrder);
    const query = sql.sqlQuery ?? sql.response;
    if (query) keep('useCubeSql', query.rawQuery().sql);
    if (wrong.error) keep('error', String(wrong.error).includes('no_such'));
    if (pushed.resultSet) keep('subscribe', pushed.resultSet.rawData());
  });
  return null;
}

createRoot(document.getElementById('root')).render(
  <CubeProvider cubeApi={api}>
    <Table />
    <Others />
    <QueryRenderer
      query={byMonthAndOrigin}
      cubeApi={api}
      render={({ resultSet }) => {
        if (resultSet) keep('QueryRenderer', resultSet.series({ x: ['flights.flight_date.month'], y: ['flights.origin'] }));
        return null;
      }}
    />
    <QueryBuilder
      defaultQuery={{ ...byCarrier, order: undefined }}
      cubeApi={api}
      render={({ query, orderMembers, resultSet, availableMeasures }) => {
        if (resultSet && availableMeasures.length) {
          keep('QueryBuilder', { rows: resultSet.rawData().length, query, orderMembers });
        }
        return null;
      }}
    />
  </CubeProvider>,
);
