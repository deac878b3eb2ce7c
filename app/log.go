package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"opencloud/cloud"
	"opencloud/config"
)

// NewLog makes the log of a process, to w unless the options name a file.
func NewLog(opts config.Log, w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(opts.Level)); err != nil {
		return nil, err
	}
	if opts.File != "" {
		f, err := os.OpenFile(opts.File, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return nil, cloud.Refuse(cloud.Invalid, "The log file (OC_LOG_FILE) cannot be opened: %v.", err)
		}
		w = f
	}
	if opts.Pretty {
		return slog.New(&pretty{out: &lines{w: w}, level: level, color: opts.Color}), nil
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})), nil
}

// pretty writes lines for people: "15:04:05 INFO  message key=value".
type pretty struct {
	out    *lines
	level  slog.Level
	color  bool
	attrs  string // of With, rendered
	prefix string // of groups, with a dot at its end
}

type lines struct {
	mu sync.Mutex
	w  io.Writer
}

func (h *pretty) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *pretty) Handle(_ context.Context, r slog.Record) error {
	b := make([]byte, 0, 256)
	b = r.Time.AppendFormat(b, time.TimeOnly)
	level, on, off := fmt.Sprintf("%-5s", r.Level), "", ""
	if h.color {
		off = "\x1b[0m"
		switch {
		case r.Level >= slog.LevelError:
			on = "\x1b[31m"
		case r.Level >= slog.LevelWarn:
			on = "\x1b[33m"
		case r.Level >= slog.LevelInfo:
			on = "\x1b[32m"
		default:
			on = "\x1b[90m"
		}
	}
	b = append(b, " "+on+level+off+" "...)
	b = append(b, r.Message...)
	b = append(b, h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		b = appendAttr(b, h.prefix, a)
		return true
	})
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	_, err := h.out.w.Write(append(b, '\n'))
	return err
}

func (h *pretty) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	for _, a := range attrs {
		c.attrs = string(appendAttr([]byte(c.attrs), h.prefix, a))
	}
	return &c
}

func (h *pretty) WithGroup(name string) slog.Handler {
	c := *h
	c.prefix += name + "."
	return &c
}

func appendAttr(b []byte, prefix string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		for _, g := range v.Group() {
			b = appendAttr(b, prefix+a.Key+".", g)
		}
		return b
	}
	text := v.String()
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return r == ' ' || r == '"' || r == '=' || !unicode.IsPrint(r) }) {
		text = strconv.Quote(text)
	}
	return append(b, " "+prefix+a.Key+"="+text...)
}

// withID says the id of the request in each record. It costs a request less
// than Logger.With, which renders the attribute whether it is logged or not.
type withID struct {
	slog.Handler
	id string
}

func (h *withID) Handle(ctx context.Context, r slog.Record) error {
	r.AddAttrs(slog.String("request-id", h.id))
	return h.Handler.Handle(ctx, r)
}

func (h *withID) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &withID{h.Handler.WithAttrs(attrs), h.id}
}

func (h *withID) WithGroup(name string) slog.Handler {
	return &withID{h.Handler.WithGroup(name), h.id}
}
