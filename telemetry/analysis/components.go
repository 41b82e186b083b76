package analysis

// components are the strongly connected components: the largest sets of nodes of which each reaches each. Their numbers run from callees to
// callers: an edge between two of them leads to the lower number.
//
// By Tarjan's algorithm, with a stack of its own in place of recursion: nodes are numbered as they are first met; a node's low is the
// least number on the stack that it reaches; one that reaches none below itself ends a component, which is all above it on the stack.
type components struct {
	of    []int32 // by node
	nodes []int32 // by component, and within one as they were done with: mostly callees before callers
	first []int32 // of each component in nodes, and one more
	place []int32 // by node, where it is in nodes
}

// components finds them when they are first asked for.
func (w *wiring) components() *components {
	w.once.Do(func() {
		w.circles = findComponents(&w.out)
		w.enter, w.loops = w.findEntries(), w.findLoops()
	})
	return &w.circles
}

func findComponents(out *ways) components {
	n := len(out.first) - 1
	c := components{of: make([]int32, n), first: []int32{0}}
	met, low := make([]int32, n), make([]int32, n) // met is 0 for a node that is yet to be met
	next := append([]int32(nil), out.first[:n]...)
	done := make([]int32, 0, n)
	var stack, path []int32
	for i := range c.of {
		c.of[i] = -1
	}
	count := int32(0)
	for root := range int32(n) {
		if met[root] != 0 {
			continue
		}
		path = append(path, root)
		for len(path) > 0 {
			i := path[len(path)-1]
			if met[i] == 0 {
				count++
				met[i], low[i] = count, count
				stack = append(stack, i)
			}
			down := int32(-1)
			for end := out.first[i+1]; next[i] < end && down < 0; next[i]++ {
				switch j := out.node[next[i]]; {
				case met[j] == 0:
					down = j
				case c.of[j] < 0:
					low[i] = min(low[i], met[j])
				}
			}
			if down >= 0 {
				path = append(path, down)
				continue
			}
			path = path[:len(path)-1]
			done = append(done, i)
			if len(path) > 0 {
				up := path[len(path)-1]
				low[up] = min(low[up], low[i])
			}
			if low[i] == met[i] {
				at := len(stack) - 1
				for stack[at] != i {
					at--
				}
				for _, j := range stack[at:] {
					c.of[j] = int32(len(c.first) - 1)
				}
				c.first = append(c.first, c.first[len(c.first)-1]+int32(len(stack)-at))
				stack = stack[:at]
			}
		}
	}
	c.nodes = make([]int32, n)
	free := append([]int32(nil), c.first...)
	for _, i := range done {
		c.nodes[free[c.of[i]]] = i
		free[c.of[i]]++
	}
	c.place = make([]int32, n)
	for at, i := range c.nodes {
		c.place[i] = int32(at)
	}
	return c
}

// members are the nodes of a component.
func (c *components) members(k int32) []int32 { return c.nodes[c.first[k]:c.first[k+1]] }

func (c *components) count() int { return len(c.first) - 1 }
