import { render } from 'preact';
import { followComparison } from './pages/compare';
import { followGraph } from './pages/live';
import { App } from './pages/shell';

const root = document.getElementById('app');
if (root === null) throw new Error('BUG: index.html has no #app');
followGraph();
followComparison();
render(<App />, root);
