package pipeline_test

func runChild() bool { return false }
