package core

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
)

// work is what goes on beside the requests until the end of the process.
type work struct {
	log  *slog.Logger
	ctx  context.Context
	stop context.CancelFunc

	mu    sync.Mutex // so that nothing starts once ended
	ended bool
	wg    sync.WaitGroup
}

func (w *work) begin(log *slog.Logger) {
	w.log = log
	w.ctx, w.stop = context.WithCancel(context.Background())
}

// start runs do, with a context that ends with all work. Its error is logged,
// unless that is why.
func (w *work) start(what string, do func(context.Context) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	w.wg.Go(func() {
		if err := guard(func() error { return do(w.ctx) }); err != nil && w.ctx.Err() == nil {
			w.log.Error("work beside the requests failed", "work", what, "error", err)
		}
	})
}

// end waits for all that was started.
func (w *work) end() {
	w.mu.Lock()
	w.ended = true
	w.mu.Unlock()
	w.stop()
	w.wg.Wait()
}

// guard makes an error of a panic.
func guard(do func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return do()
}
