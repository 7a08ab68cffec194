package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"respect/shell/render"
)

// Help is what fits a terminal of 80 columns and 24 rows, wherever it is read.

const (
	helpColumns = 80
	about       = `respect is a guarded shell for MongoDB. Reads ask nothing; on production, and on what cannot be told, nothing is changed without a preview, a typed confirmation and a verified backup. All is recorded; what cannot be undone says so before.`
	statuses    = `Exit status: 0 done, 1 error, 2 usage, 3 refused or declined and nothing changed, 4 partly applied or not known, 5 a record failed verification`
)

// help prints what a command is for, how it is called, and what it takes.
func (a *app) help(cmd *cobra.Command, _ []string) {
	width := helpColumns
	if n := columns(a.out); n > 0 {
		width = min(n, helpColumns)
	}
	text := commandHelp(cmd, width)
	if !cmd.HasParent() {
		text = rootHelp(cmd, width)
	}
	fmt.Fprint(a.out, text)
}

func rootHelp(root *cobra.Command, width int) string {
	return paragraph(about, width) + render.Fold("usage: respect [flags] URI|PROFILE         respect COMMAND --help says more\n", width) + commandList(root, width) +
		flagList(root.Flags(), width) + paragraph(statuses, width)
}

func commandHelp(cmd *cobra.Command, width int) string {
	var b strings.Builder
	what := cmd.Long
	if what == "" {
		what = cmd.CommandPath() + ": " + cmd.Short
	}
	for i, p := range strings.Split(what, "\n\n") {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(paragraph(p, width))
	}
	b.WriteString("\n" + render.Fold("usage: "+useLine(cmd)+"\n", width))
	b.WriteString(commandList(cmd, width))
	b.WriteString(flagList(cmd.LocalNonPersistentFlags(), width))
	b.WriteString(render.Fold("beside them: --json, --reason, --state-dir, of which respect --help tells\n", width))
	return b.String()
}

// paragraph is running text, filled anew; what is indented stays as it is.
func paragraph(text string, width int) string {
	if strings.HasPrefix(text, " ") {
		return render.Fold(text+"\n", width)
	}
	return strings.Join(render.Wrap(strings.ReplaceAll(text, "\n", " "), width), "\n") + "\n"
}

// useLine is how a command is called.
func useLine(cmd *cobra.Command) string {
	line := cmd.UseLine()
	if cmd.HasAvailableSubCommands() {
		line = cmd.CommandPath() + " COMMAND"
		if cmd.Runnable() && strings.Contains(cmd.Use, " ") {
			line += ", or " + cmd.UseLine()
		}
	}
	return strings.TrimSuffix(line, " [flags]")
}

func commandList(cmd *cobra.Command, width int) string {
	var b strings.Builder
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			b.WriteString(render.Fold(fmt.Sprintf("  %-11s %s\n", c.Name(), c.Short), width))
		}
	}
	return b.String()
}

// flagList are flags, one a line.
func flagList(flags *pflag.FlagSet, width int) string {
	var b strings.Builder
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name, usage := pflag.UnquoteUsage(f)
		if kind := map[string]string{"string": "text", "strings": "text", "stringArray": "text", "float": "number", "duration": "time"}[name]; kind != "" {
			name = kind
		}
		if f.DefValue != "" && f.DefValue != "[]" && f.Value.Type() != "bool" {
			usage += " (default " + f.DefValue + ")"
		}
		text := "--" + f.Name
		switch {
		case f.NoOptDefVal != "" && f.Value.Type() != "bool":
			text += "[=" + strings.ToUpper(name) + "]"
		case name != "":
			text += " " + strings.ToUpper(name)
		}
		if f.Shorthand != "" {
			text = "-" + f.Shorthand + ", " + text
		}
		b.WriteString(render.Fold(fmt.Sprintf("  %-21s %s\n", text, usage), width))
	})
	return b.String()
}
