// Package local guards pages that are served on this machine and for this machine only.
package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Allow refuses what a page for this machine alone must not answer, and tells whether it may be answered: names of other hosts, by which a
// page elsewhere could reach it (DNS rebinding), requests that another site's page makes, and other methods than these. It sets the
// headers that every answer has; policy is the Content-Security-Policy.
func Allow(w http.ResponseWriter, r *http.Request, policy string, methods ...string) bool {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", policy)
	origin := r.Header.Get("Origin")
	switch {
	case !loopback(r.Host):
		http.Error(w, "this page is for this machine only: open it by http://127.0.0.1 or http://localhost", http.StatusForbidden)
	case origin != "" && origin != "http://"+r.Host:
		http.Error(w, "this page answers itself and programs of this machine, not the pages of other sites", http.StatusForbidden)
	case !slices.Contains(methods, r.Method):
		allowed := strings.Join(methods, ", ")
		h.Set("Allow", allowed)
		http.Error(w, "allowed here: "+allowed, http.StatusMethodNotAllowed)
	default:
		return true
	}
	return false
}

// loopback tells whether a Host header names this machine.
func loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// Serve serves a page on 127.0.0.1 until the context ends. port 0 takes a free one. ready is told the address, such as
// http://127.0.0.1:1234/; beside, when it is not nil, runs along with the server and ends it by an error.
func Serve(ctx context.Context, page http.Handler, port int, ready func(url string), beside func(context.Context) error) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("serving the page: %w; name another port with --port", err)
	}
	ready(fmt.Sprintf("http://%s/", listener.Addr()))
	g, ctx := errgroup.WithContext(ctx)
	server := &http.Server{
		Handler: page, ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx }, // browsers that wait for news are let go when it ends
	}
	if beside != nil {
		g.Go(func() error { return beside(ctx) })
	}
	g.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serving the page: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(end) != nil {
			return server.Close()
		}
		return nil
	})
	return g.Wait()
}
