package dashboards

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// client asks a Prometheus query API, as Grafana does.
type client struct {
	base string
	now  time.Time
	span time.Duration // of range queries
}

// answer is a response of the query API.
type answer struct {
	Status string `json:"status"`
	Error  string `json:"error"`
	Data   struct {
		Result []struct {
			Metric     map[string]string    `json:"metric"`
			Value      []json.RawMessage    `json:"value"`
			Values     [][2]json.RawMessage `json:"values"`
			Histogram  []json.RawMessage    `json:"histogram"`
			Histograms []json.RawMessage    `json:"histograms"`
		} `json:"result"`
	} `json:"data"`
}

func (c *client) post(path string, form url.Values, into any) error {
	res, err := http.PostForm(c.base+path, form)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(res.Body).Decode(into)
}

func (c *client) run(expr string, instant bool) (*answer, error) {
	a := &answer{}
	form, path := url.Values{"query": {expr}}, "/api/v1/query"
	if instant {
		form.Set("time", seconds(c.now))
	} else {
		path = "/api/v1/query_range"
		form.Set("start", seconds(c.now.Add(-c.span)))
		form.Set("end", seconds(c.now))
		form.Set("step", "15")
	}
	if err := c.post(path, form, a); err != nil {
		return nil, err
	}
	if a.Status != "success" {
		return nil, errors.New(a.Error)
	}
	return a, nil
}

func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

// hasData says whether an answer holds a number, or a histogram.
func (a *answer) hasData() bool {
	number := func(raw json.RawMessage) bool {
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return false
		}
		f, err := strconv.ParseFloat(s, 64)
		return err == nil && !math.IsNaN(f)
	}
	for _, r := range a.Data.Result {
		if len(r.Histogram) > 0 || len(r.Histograms) > 0 || len(r.Value) == 2 && number(r.Value[1]) {
			return true
		}
		for _, v := range r.Values {
			if number(v[1]) {
				return true
			}
		}
	}
	return false
}

// top is the label set of the greatest value of an expression.
func (c *client) top(expr string) (map[string]string, error) {
	a, err := c.run("topk(1, "+expr+")", true)
	if err != nil {
		return nil, err
	}
	if len(a.Data.Result) == 0 {
		return nil, fmt.Errorf("%s has no value", expr)
	}
	return a.Data.Result[0].Metric, nil
}

// labelValues answers a variable's label_values(selector, label).
func (c *client) labelValues(query string) ([]string, error) {
	args, ok := strings.CutPrefix(query, "label_values(")
	if !ok {
		return nil, fmt.Errorf("variable query %q is not label_values", query)
	}
	args = strings.TrimSuffix(args, ")")
	at := strings.LastIndex(args, ",")
	selector, label := strings.TrimSpace(args[:max(at, 0)]), strings.TrimSpace(args[at+1:])
	u := c.base + "/api/v1/label/" + label + "/values"
	if selector != "" {
		u += "?" + url.Values{"match[]": {selector}}.Encode()
	}
	res, err := http.Get(u)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var out struct {
		Status, Error string
		Data          []string
	}
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
		return nil, err
	}
	if out.Status != "success" {
		return nil, errors.New(out.Error)
	}
	return out.Data, nil
}
