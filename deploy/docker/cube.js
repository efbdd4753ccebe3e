// A real Cube over the same gold tables and the same model. The manifest names the file in service;
// its name is part of the orchestrator's id, so a new snapshot gets a connection of its own.
const fs = require('fs');

const folder = process.env.SERVING;
const current = () => JSON.parse(fs.readFileSync(`${folder}/current.json`, 'utf8')).file;

module.exports = {
  contextToOrchestratorId: () => `served_${current()}`,
  driverFactory: () => ({
    type: 'duckdb',
    initSql: `ATTACH '${folder}/${current()}' AS served (READ_ONLY); USE served;`,
  }),
};
