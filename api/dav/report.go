package dav

import "net/http"

// report is REPORT (RFC 3253, section 3.6): what its root element says.
func (h *handler) report(c *call) error {
	b, err := body(c)
	if err != nil {
		return err
	}
	p := newParser(b)
	t, err := p.child()
	if err != nil {
		return err
	}
	if serve, ok := h.reports[t.name]; ok {
		return serve(c, b)
	}
	if err := p.skip(); err != nil {
		return err
	}
	if err := p.finish(); err != nil {
		return err
	}
	return &refusal{status: http.StatusNotImplemented, exception: "ReportNotSupported",
		say: "This kind of report is not supported.", conditions: []string{"<d:supported-report/>"}}
}
