// FerretDB, a MongoDB wire protocol server on SQLite, as one static program.
// Its published module lacks the generated version file that its own main wants, so this main starts the
// embeddable server. It reads the same flags and environment variables as the released program.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "ferretdb:", err)
		os.Exit(1)
	}
}

func run() error {
	config := &ferretdb.Config{Handler: "sqlite"}
	option(&config.Listener.TCP, "listen-addr", "FERRETDB_LISTEN_ADDR", "127.0.0.1:27017", "TCP address to listen on")
	option(&config.Listener.TLS, "listen-tls", "FERRETDB_LISTEN_TLS", "", "TLS address to listen on")
	option(&config.Listener.TLSCertFile, "listen-tls-cert-file", "FERRETDB_LISTEN_TLS_CERT_FILE", "", "server certificate")
	option(&config.Listener.TLSKeyFile, "listen-tls-key-file", "FERRETDB_LISTEN_TLS_KEY_FILE", "", "server key")
	option(&config.Listener.TLSCAFile, "listen-tls-ca-file", "FERRETDB_LISTEN_TLS_CA_FILE", "", "certificate authority of clients")
	option(&config.SQLiteURL, "sqlite-url", "FERRETDB_SQLITE_URL", "file:data/", "folder of the databases, as an SQLite URI")
	var level slog.Level
	flag.TextVar(&level, "log-level", levelFromEnvironment(), "debug, info, warn or error (FERRETDB_LOG_LEVEL)")
	flag.Parse()
	config.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server, err := ferretdb.New(config)
	if err != nil {
		return err
	}
	return server.Run(ctx)
}

func option(value *string, name, variable, fallback, usage string) {
	if set := os.Getenv(variable); set != "" {
		fallback = set
	}
	flag.StringVar(value, name, fallback, usage+" ("+variable+")")
}

func levelFromEnvironment() slog.Level {
	level := slog.LevelInfo
	if set := os.Getenv("FERRETDB_LOG_LEVEL"); set != "" {
		if err := level.UnmarshalText([]byte(set)); err != nil {
			fmt.Fprintln(os.Stderr, "ferretdb: FERRETDB_LOG_LEVEL:", err)
		}
	}
	return level
}
