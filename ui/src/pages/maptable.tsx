import type { JSX } from 'preact';
import { duration, percent, rate } from '../base/format';
import { errorShare, signalsOf } from '../model/graph';
import { blameOf, bySeverity, nameOf, troubleIn } from '../model/trouble';
import { NodeMark, TROUBLE_WORDS } from '../widgets/mark';
import { mapWindow, patch } from '../widgets/route';
import { partWords } from './judged';
import { useGraph } from './live';

/** So many rows are written: who needs another finds it by its name. */
const MOST = 500;

/** What the map shows as a table, for whoever cannot see the map or would rather read: who is to blame first, then who suffers, then the busy. */
export function MapTable(): JSX.Element {
  const graph = useGraph();
  const window = mapWindow.value;
  const nodes = [...graph.nodes.values()].sort(bySeverity(graph, window));
  const name = (id: string): string => nameOf(graph, id);
  return (
    <div class="map-table" tabIndex={0} role="region" aria-label="The map as a table">
      <table>
        <caption>
          {nodes.length.toLocaleString('en')} nodes, figures over {window}
          {nodes.length > MOST ? `; the first ${MOST}` : ''}
        </caption>
        <thead>
          <tr>
            <th scope="col">Node</th>
            <th scope="col">State</th>
            <th scope="col">Blame</th>
            <th scope="col">Rate</th>
            <th scope="col">Errors</th>
            <th scope="col">p99</th>
            <th scope="col">Calls</th>
          </tr>
        </thead>
        <tbody>
          {nodes.slice(0, MOST).map((n) => {
            const s = signalsOf(n, window);
            const calls = graph.outgoing(n.id).map((e) => name(e.target));
            return (
              <tr key={n.id}>
                <th scope="row">
                  <button type="button" class="linkish" onClick={() => patch({ node: n.id, edge: undefined })}>
                    {n.name}
                  </button>{' '}
                  <small>{n.group === undefined ? n.namespace || n.kind : `${n.group.members} members`}</small>
                </th>
                <td>
                  <NodeMark n={n} window={window} />{' '}
                  {n.ghost === true
                    ? 'gone'
                    : blameOf(n).part === 'well'
                      ? n.health
                      : TROUBLE_WORDS[troubleIn(n, window) ?? 'failing']}
                </td>
                <td title={n.judgement?.says}>{partWords(n, name)}</td>
                <td class="num">{rate(s.rate)}</td>
                <td class="num">{percent(errorShare(s))}</td>
                <td class="num">{duration(s.p99)}</td>
                <td>
                  {calls.slice(0, 6).join(', ')}
                  {calls.length > 6 ? ` and ${calls.length - 6} more` : ''}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
