package app

import (
	"io"
	"log/slog"

	"github.com/binnacle-mesh/binnacle/internal/config"
)

// A Logger is the process' one logger, with the level that a reload may change.
type Logger struct {
	*slog.Logger
	Level *slog.LevelVar
}

// NewLogger makes the process' one logger.
func NewLogger(c config.Log, w io.Writer) *Logger {
	level := new(slog.LevelVar)
	level.Set(levelOf(c))
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return &Logger{slog.New(slog.NewJSONHandler(w, o)), level}
	}
	return &Logger{slog.New(slog.NewTextHandler(w, o)), level}
}

func levelOf(c config.Log) slog.Level {
	var level slog.Level
	if level.UnmarshalText([]byte(c.Level)) != nil {
		return slog.LevelInfo // Validate has checked it
	}
	return level
}
