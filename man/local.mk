# SPDX-License-Identifier: MIT

dist_man_MANS = \
	man/mppool-timeline.1 \
	man/mppool.7 \
	man/mppool_apply.3 \
	man/mppool_apply_async.3 \
	man/mppool_as_completed.3 \
	man/mppool_call_options.3 \
	man/mppool_chunk.3 \
	man/mppool_chunk_call.3 \
	man/mppool_close.3 \
	man/mppool_code.3 \
	man/mppool_column.3 \
	man/mppool_counters.3 \
	man/mppool_cpu_count.3 \
	man/mppool_create.3 \
	man/mppool_current.3 \
	man/mppool_describe.3 \
	man/mppool_destroy.3 \
	man/mppool_error.3 \
	man/mppool_fd.3 \
	man/mppool_fork_server.3 \
	man/mppool_func.3 \
	man/mppool_imap.3 \
	man/mppool_imap_unordered.3 \
	man/mppool_item_call.3 \
	man/mppool_item_index.3 \
	man/mppool_iter.3 \
	man/mppool_iter_cancel.3 \
	man/mppool_iter_free.3 \
	man/mppool_iter_next.3 \
	man/mppool_iterable.3 \
	man/mppool_join.3 \
	man/mppool_last_error.3 \
	man/mppool_lifecycle.7 \
	man/mppool_map.3 \
	man/mppool_map_async.3 \
	man/mppool_options.3 \
	man/mppool_performance.7 \
	man/mppool_poll.3 \
	man/mppool_processes.7 \
	man/mppool_python.7 \
	man/mppool_raise.3 \
	man/mppool_raise_message.3 \
	man/mppool_raised.3 \
	man/mppool_resize.3 \
	man/mppool_result.3 \
	man/mppool_result_cancel.3 \
	man/mppool_result_error.3 \
	man/mppool_result_free.3 \
	man/mppool_result_get.3 \
	man/mppool_result_progress.3 \
	man/mppool_result_progress_bar.3 \
	man/mppool_result_ready.3 \
	man/mppool_result_successful.3 \
	man/mppool_result_userdata.3 \
	man/mppool_result_value.3 \
	man/mppool_result_wait.3 \
	man/mppool_shared_alloc.3 \
	man/mppool_shared_free.3 \
	man/mppool_should_stop.3 \
	man/mppool_starmap.3 \
	man/mppool_starmap_async.3 \
	man/mppool_state.3 \
	man/mppool_stats.3 \
	man/mppool_strerror.3 \
	man/mppool_strerrorname.3 \
	man/mppool_terminate.3 \
	man/mppool_threads.7 \
	man/mppool_trace.7 \
	man/mppool_tutorial.7 \
	man/mppool_version.3 \
	man/mppool_wait.3 \
	man/mppool_wait_idle.3 \
	man/mppool_worker_counters.3 \
	man/mppool_worker_index.3 \
	man/mppool_worker_state.3 \
	man/MPPOOL_ALL_COMPLETED.3 \
	man/MPPOOL_ARGS.3 \
	man/MPPOOL_ARRAY.3 \
	man/MPPOOL_BROKEN.3 \
	man/MPPOOL_CALL.3 \
	man/MPPOOL_CALLBACKS_POLL.3 \
	man/MPPOOL_CALLBACKS_THREAD.3 \
	man/MPPOOL_CALLER_HELPS.3 \
	man/MPPOOL_CALL_OPTIONS_INIT.3 \
	man/MPPOOL_CLOSED.3 \
	man/MPPOOL_COUNTERS_INIT.3 \
	man/MPPOOL_EBROKEN.3 \
	man/MPPOOL_ECLOSED.3 \
	man/MPPOOL_EFORKED.3 \
	man/MPPOOL_EFULL.3 \
	man/MPPOOL_EFUNC.3 \
	man/MPPOOL_EITER.3 \
	man/MPPOOL_ELOST.3 \
	man/MPPOOL_ENOTREADY.3 \
	man/MPPOOL_ERUNNING.3 \
	man/MPPOOL_ESTOP.3 \
	man/MPPOOL_ETASK.3 \
	man/MPPOOL_ETERMINATED.3 \
	man/MPPOOL_FAIL_FAST.3 \
	man/MPPOOL_FIRST_COMPLETED.3 \
	man/MPPOOL_FIRST_FAILED.3 \
	man/MPPOOL_FOREVER.3 \
	man/MPPOOL_FUNC_INIT.3 \
	man/MPPOOL_ITERABLE_INIT.3 \
	man/MPPOOL_MAX_ARGS.3 \
	man/MPPOOL_MEMBER.3 \
	man/MPPOOL_MPI.3 \
	man/MPPOOL_NOWAIT.3 \
	man/MPPOOL_OPTIONS_INIT.3 \
	man/MPPOOL_PROC.3 \
	man/MPPOOL_PROCESSES.3 \
	man/MPPOOL_PURE.3 \
	man/MPPOOL_REPEAT.3 \
	man/MPPOOL_RUN.3 \
	man/MPPOOL_TERMINATED.3 \
	man/MPPOOL_THREADS.3 \
	man/MPPOOL_TIMES.3 \
	man/MPPOOL_UNBOUNDED.3 \
	man/MPPOOL_UNKNOWN.3 \
	man/MPPOOL_VERSION_MAJOR.3 \
	man/MPPOOL_VERSION_MINOR.3 \
	man/MPPOOL_VERSION_PATCH.3 \
	man/MPPOOL_WITH.3 \
	man/MPPOOL_ZIP.3

EXTRA_DIST += man/html.awk man/html.sh man/mppool.css $(trace_pictures)

# Pictures for mppool_tutorial(7) in HTML. make pictures draws them anew, from runs of examples/bottlenecks.
trace_kinds = chunks lock generator callback
trace_pictures = \
	man/trace-callback.svg \
	man/trace-chunks.svg \
	man/trace-generator.svg \
	man/trace-lock.svg

.PHONY: pictures
pictures: examples/bottlenecks$(EXEEXT) tools/mppool-timeline$(EXEEXT)
	@rm -rf pictures.tmp && $(MKDIR_P) pictures.tmp
	for kind in $(trace_kinds); do \
		MPPOOL_TRACE=pictures.tmp/$$kind.json examples/bottlenecks$(EXEEXT) $$kind || exit 1; \
		(cd pictures.tmp && ../tools/mppool-timeline$(EXEEXT) -w 800 $$kind.json) \
			>'$(srcdir)'/man/trace-$$kind.svg || exit 1; \
	done
	@rm -rf pictures.tmp

# make html: the manual for a browser, in the folder html of the build. make install-html installs it.
make_html = MANDOC='$(MANDOC)' AWK='$(AWK)' srcdir='$(srcdir)' PACKAGE_VERSION='$(PACKAGE_VERSION)' \
	$(SHELL) $(srcdir)/man/html.sh

html-local: html/index.html
html/index.html: $(dist_man_MANS) man/html.awk man/html.sh man/mppool.css $(trace_pictures)
	@test -n '$(MANDOC)' || { echo "make html needs mandoc, which was not found by configure"; exit 1; }
	$(AM_V_GEN)rm -rf html && $(make_html) html

install-html-local: html/index.html
	$(MKDIR_P) '$(DESTDIR)$(htmldir)'
	$(INSTALL_DATA) html/* '$(DESTDIR)$(htmldir)'
