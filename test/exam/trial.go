package main

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/demo"
)

// A trial is one telling of a chapter.
type trial struct {
	chapter string
	before  time.Duration // how long all is well before it
	length  time.Duration
	fault   demo.Fault // whom the chapter strikes; of no meaning unless struck
	struck  bool
}

// trials draws the order and the lengths. Of each chapter's runs one is from each part of the range, cut into as many as there are runs by
// their logarithms: so that few runs hold short ones and long ones too.
func trials(o options) []trial {
	random := rand.New(rand.NewPCG(o.seed, 0)) //nolint:gosec // it is to be repeated
	var all []trial
	for _, chapter := range o.only {
		fault, struck := demo.FaultOf(chapter)
		for i := range o.runs {
			part := (float64(i) + random.Float64()) / float64(o.runs)
			length := float64(o.shortest) * math.Pow(float64(o.longest)/float64(o.shortest), part)
			all = append(all, trial{
				chapter: chapter, length: time.Duration(length).Round(time.Second), fault: fault, struck: struck,
				before: o.between + time.Duration(random.Float64()*float64(o.between)/2),
			})
		}
	}
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}
