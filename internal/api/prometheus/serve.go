package prometheus

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/binnacle-mesh/binnacle/internal/api"
)

// maxForm is the most bytes of a form that is sent as a body.
const maxForm = 1 << 20

// serve looks at what is asked before Prometheus' own handlers parse it.
func (d *Dialect) serve(w http.ResponseWriter, r *http.Request) error {
	if err := d.check(w, r); err != nil {
		return err
	}
	d.router.ServeHTTP(w, r)
	return nil
}

// check reads the parameters as the handlers will, and looks at those that are parsed further.
func (d *Dialect) check(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	err := r.ParseForm()
	if err == nil {
		if err = r.ParseMultipartForm(maxForm); errors.Is(err, http.ErrNotMultipart) {
			err = nil
		}
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return &api.Error{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("the form is longer than %d bytes; ask for less at a time", maxForm)}
	case err != nil:
		return &api.Error{Status: http.StatusBadRequest, Detail: "the parameters cannot be read: " + err.Error()}
	}
	err = d.engine.CheckText(r.Form.Get("query"))
	if err == nil {
		err = d.engine.CheckSelectors(r.Form["match[]"])
	}
	if err != nil {
		return &api.Error{Status: http.StatusBadRequest, Detail: err.Error()}
	}
	return nil
}
