package telemetry

// A Suspect is a node that has changed for the worse beyond what varies with it, whether or not that is enough to call it ill.
type Suspect struct {
	ID, Name string // of its GraphNode
	Named    bool   // it is ill: the judgement is that of the graph
	// Judgement says what has changed, and because of whom. Of one that is not named Since is 0, and Score is how many requests a second are surely lost.
	Judgement Judgement
}
