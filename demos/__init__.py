"""The demo: one Gradio app, one file a tab."""
