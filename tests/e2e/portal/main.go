// A portal for tests: healthy only while its database answers, through exactly the environment that an operator gives it. It serves
// /health, /alive, /state, /check and /reset, and with WRITE=yes writes a row each 100 ms.
package main

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// How long a statement may take. A slower one is repeated with the same id, as a client has to.
const patience = 2 * time.Second

// writer writes rows and remembers which were acknowledged.
type writer struct {
	mutex sync.Mutex
	name  string
	acked int64
	last  time.Time
	// Longest time between two acknowledgements since the last reset.
	gap time.Duration
}

func (w *writer) run(ctx context.Context, pool *pgxpool.Pool) {
	for id := int64(1); ctx.Err() == nil; id++ {
		for ctx.Err() == nil {
			err := write(ctx, pool, w.name, id)
			if err == nil {
				break
			}
			log.Printf("row %d: %v", id, err)
			time.Sleep(50 * time.Millisecond)
		}
		w.acknowledge(id)
		time.Sleep(100 * time.Millisecond)
	}
}

func write(ctx context.Context, pool *pgxpool.Pool, name string, id int64) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := pool.Exec(ctx, "INSERT INTO rows (writer, id) VALUES ($1, $2) ON CONFLICT DO NOTHING", name, id)
	return err
}

// prepare makes the table, as soon as the database lets it.
func prepare(ctx context.Context, pool *pgxpool.Pool) {
	const table = "CREATE TABLE IF NOT EXISTS rows (writer text, id bigint, PRIMARY KEY (writer, id))"
	for ctx.Err() == nil {
		attempt, cancel := context.WithTimeout(ctx, patience)
		_, err := pool.Exec(attempt, table)
		cancel()
		if err == nil {
			return
		}
		// Another pod may make it in the same moment.
		log.Printf("table: %v", err)
		time.Sleep(100 * time.Millisecond)
	}
}

func (w *writer) acknowledge(id int64) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	now := time.Now()
	if !w.last.IsZero() && now.Sub(w.last) > w.gap {
		w.gap = now.Sub(w.last)
	}
	w.acked, w.last = id, now
}

// check counts the acknowledged rows and those of them that the database does not have.
func (w *writer) check(ctx context.Context, pool *pgxpool.Pool) (map[string]any, error) {
	w.mutex.Lock()
	acked := w.acked
	w.mutex.Unlock()
	var there, all int64
	err := pool.QueryRow(ctx, "SELECT count(*) FILTER (WHERE writer = $1 AND id <= $2), count(*) FROM rows", w.name, acked).Scan(&there, &all)
	if err != nil {
		return nil, err
	}
	return map[string]any{"acked": acked, "lost": acked - there, "all": all}, nil
}

// state needs no database.
func (w *writer) state() map[string]any {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return map[string]any{"acked": w.acked, "gapSeconds": w.gap.Seconds()}
}

func (w *writer) reset() {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.gap = 0
}

func port() string {
	if port := os.Getenv("PORT"); port != "" {
		return port
	}
	return "8000"
}

func serve(ctx context.Context) error {
	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	// Sessions stay open, as those of real portals do.
	config.MinConns, config.MaxConns = 2, 10
	config.ConnConfig.ConnectTimeout = patience
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	host, _ := os.Hostname()
	rows := &writer{name: host}
	go func() {
		prepare(ctx, pool)
		if os.Getenv("WRITE") == "yes" {
			rows.run(ctx, pool)
		}
	}()
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(response http.ResponseWriter, request *http.Request) {
		ctx, cancel := context.WithTimeout(request.Context(), patience)
		defer cancel()
		if _, err := pool.Exec(ctx, "SELECT 1"); err != nil {
			http.Error(response, err.Error(), http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/alive", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/reset", func(http.ResponseWriter, *http.Request) { rows.reset() })
	mux.HandleFunc("/state", func(response http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(response).Encode(rows.state())
	})
	mux.HandleFunc("/check", func(response http.ResponseWriter, request *http.Request) {
		result, err := rows.check(request.Context(), pool)
		if err != nil {
			http.Error(response, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_ = json.NewEncoder(response).Encode(result)
	})
	server := &http.Server{Addr: ":" + port(), Handler: mux, ReadHeaderTimeout: patience}
	go func() {
		<-ctx.Done()
		_ = server.Shutdown(context.Background())
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := serve(ctx); err != nil {
		log.Fatal(err)
	}
}
