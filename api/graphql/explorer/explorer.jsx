// GraphiQL over this server's own address. The access token is kept in the tab's session storage
// only, and is sent as a header (HTTP) or with `connection_init` (WebSocket, subscriptions).
import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { GraphiQL } from 'graphiql';
import 'graphiql/style.css';
import { createClient } from 'graphql-ws';
import { useMemo, useState } from 'react';
import { createRoot } from 'react-dom/client';
import './explorer.css';

const EXAMPLE = `# One definition, the same number in every tool.
# Write a token above (the server or the demo printed one), then press Ctrl-Enter.
{
  freshness {
    quality
    builtAt
    tables { name rows dataUntil quality }
  }
  meta { cubes { name title type } }
}
`;

function Explorer() {
  const [token, setToken] = useState(sessionStorage.getItem('ducat-token') ?? '');
  const fetcher = useMemo(() => {
    const headers = token ? { Authorization: token } : {};
    const address = new URL('/graphql', location.href);
    const live = new URL(address);
    live.protocol = address.protocol.replace('http', 'ws');
    return createGraphiQLFetcher({
      url: address.href,
      headers,
      wsClient: createClient({ url: live.href, connectionParams: headers, lazy: true }),
    });
  }, [token]);
  const change = (event) => {
    sessionStorage.setItem('ducat-token', event.target.value);
    setToken(event.target.value);
  };
  return (
    <>
      <header className="ducat-bar">
        <a href="/">Ducat</a>
        <label htmlFor="token">Access token</label>
        <input
          id="token"
          type="password"
          autoComplete="off"
          placeholder="the printed one, or ducat token USER"
          value={token}
          onChange={change}
        />
      </header>
      <GraphiQL key={token} fetcher={fetcher} defaultQuery={EXAMPLE} shouldPersistHeaders={false} />
    </>
  );
}

createRoot(document.getElementById('explorer')).render(<Explorer />);
